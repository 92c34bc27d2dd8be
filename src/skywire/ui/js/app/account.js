// Logging in, and the first account of a new hypervisor.

import { ApiError, post } from "./api.js";
import { Field } from "./components.js";
import { html, useLayoutEffect, useRef, useState } from "./view.js";

const USER = "admin"; // the only name there is
const RULES = "6 to 64 characters, with an upper and a lower case letter, a digit and a special character.";

/**
 * @param {{first: boolean, onDone: () => void}} props `first`: there is no account yet
 */
export function Account({ first, onDone }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => form.current.elements.password.focus(), []);

  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (first && password !== again) {
      setProblem("The two passwords differ.");
      form.current.elements.again.focus();
      return;
    }
    setBusy(true);
    setProblem("");
    try {
      await enter(first, password);
      onDone();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(sentence(error.message));
      form.current.elements.password.select();
    } finally {
      setBusy(false);
    }
  };
  const invalid = problem === "" ? undefined : "true";
  return html`<form class="account" ref=${form} aria-labelledby="account-title" onSubmit=${submit}>
    <h1 id="account-title">${first ? "Create the account" : "Log in"}</h1>
    <p>
      ${first
        ? `This hypervisor is new. Choose the password of its one account, “${USER}”.`
        : "Sign in to see your nodes."}
    </p>
    <input class="visually-hidden" name="username" value=${USER} autocomplete="username" tabindex="-1" aria-hidden="true" readonly />
    <${Field} label="Password" id="password" hint=${first ? RULES : ""}>
      <input
        id="password"
        name="password"
        type="password"
        required
        maxlength="64"
        autocomplete=${first ? "new-password" : "current-password"}
        aria-describedby="password-hint account-problem"
        aria-invalid=${invalid}
        value=${password}
        onInput=${(/** @type {any} */ event) => setPassword(event.target.value)}
      />
    <//>
    ${first
      ? html`<${Field} label="Password again" id="again">
          <input
            id="again"
            name="again"
            type="password"
            required
            maxlength="64"
            autocomplete="new-password"
            value=${again}
            onInput=${(/** @type {any} */ event) => setAgain(event.target.value)}
          />
        <//>`
      : null}
    <p class="problem" id="account-problem" role="alert" hidden=${problem === ""}>${problem}</p>
    <button class="primary" disabled=${busy}>${first ? "Create account" : "Log in"}</button>
  </form>`;
}

/**
 * @param {boolean} first
 * @param {string} password
 */
async function enter(first, password) {
  const account = { username: USER, password };
  if (first) await post("/create-account", account);
  try {
    await post("/login", account);
  } catch (error) {
    const already = error instanceof ApiError && error.message === "not logged out";
    if (!already) throw error;
  }
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
