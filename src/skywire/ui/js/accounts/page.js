// The account: its password, and where it is logged in.

import { post } from "../app/api.js";
import { CopyButton, Field, Loading, Notice, State } from "../app/components.js";
import { ActionDialog, tell } from "../app/dialogs.js";
import { useFetched } from "../app/fetched.js";
import { list, text } from "../app/node.js";
import { app, leave } from "../app/session.js";
import { useStore, useNow } from "../app/store.js";
import { html, useEffect, useRef, useState } from "../app/view.js";
import { UNKNOWN, duration } from "../format.js";

const RULES = "6 to 64 characters, with an upper and a lower case letter, a digit and a special character.";
const EVERY = 30_000; // ms between two looks at the sessions

export default function AccountsPage() {
  const accounts = useStore(app, (state) => state.accounts);
  useEffect(() => {
    document.title = "Account — Skywire";
  }, []);
  return html`
    <div class="heading"><h1>Account</h1></div>
    ${accounts
      ? html`<div class="columns"><${Sessions} /><${Password} /></div>`
      : html`<${Notice} kind="wait">
          This hypervisor asks for no password: whoever reaches this page controls every node. Set <code>hypervisor.enable_auth</code> to true in its configuration.
        <//>`}
  `;
}

/**
 * @typedef {{id: string, expiry: number, current: boolean}} Session `expiry` in ms since the epoch
 */

function Sessions() {
  const { data, problem, again } = useFetched("/user", EVERY);
  const features = useStore(app, (state) => state.features);
  const [asking, setAsking] = useState(/** @type {Session | "all" | null} */ (null));
  if (data === null) return problem === "" ? html`<${Loading} />` : html`<${Notice} kind="bad">${problem}<//>`;
  const sessions = [toSession(data.current_session, true), ...list(data.other_sessions).map((one) => toSession(one, false))];
  const others = sessions.length - 1;
  const end = async () => {
    if (asking === "all") await post("/logout-others");
    await again();
  };
  return html`<section class="block" aria-labelledby="sessions-title">
    <h2 id="sessions-title">Logged in as ${text(data.username) || UNKNOWN}</h2>
    <ul class="lines" aria-label="Sessions">
      ${sessions.map(
        (session) => html`<li key=${session.id}>
          <span class="two-lines">
            ${session.current ? html`<${State} mark="good" word="here" />` : html`<${State} mark="off" word="elsewhere" />`}
            <span class="details">ends in <${Left} until=${session.expiry} /></span>
          </span>
          <span class="key"><code title=${session.id}>${session.id.slice(0, 8)}</code><${CopyButton} text=${session.id} what="id of the session" /></span>
        </li>`,
      )}
    </ul>
    <div class="actions">
      ${features.has("logout-others")
        ? html`<button type="button" disabled=${others === 0} onClick=${() => setAsking("all")}>Log out elsewhere</button>`
        : null}
      <button type="button" onClick=${() => void post("/logout").catch(() => {}).then(() => leave())}>Log out here</button>
    </div>
    ${asking === null
      ? null
      : html`<${ActionDialog} title="Log out elsewhere" verb="Log out elsewhere" done="Logged out everywhere else." run=${end} onClose=${() => setAsking(null)}>
          <p>${others === 1 ? "One other session ends" : `${others} other sessions end`}, with the terminals that are open in ${others === 1 ? "it" : "them"}. This one stays.</p>
        <//>`}
  </section>`;
}

/** @param {{until: number}} props */
function Left({ until }) {
  const now = useNow();
  return html`${Number.isFinite(until) ? duration(Math.max(0, until - now) / 1000) : UNKNOWN}`;
}

/**
 * @param {any} session
 * @param {boolean} current
 * @returns {Session}
 */
function toSession(session, current) {
  return { id: text(session?.sid), expiry: Date.parse(text(session?.expiry)), current };
}

function Password() {
  const [values, setValues] = useState({ old: "", next: "", again: "" });
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef(/** @type {any} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (values.next !== values.again) {
      setProblem("The two new passwords differ.");
      form.current.elements.again.focus();
      return;
    }
    setBusy(true);
    setProblem("");
    try {
      await post("/change-password", { old_password: values.old, new_password: values.next });
      tell("The password is changed. Log in with the new one.");
      leave();
    } catch (error) {
      setProblem(sentence(error instanceof Error ? error.message : String(error)));
      setBusy(false);
    }
  };
  const input = (/** @type {"old" | "next" | "again"} */ name, /** @type {string} */ kind) => html`<input
    id=${`password-${name}`}
    name=${name}
    type="password"
    required
    maxlength="64"
    autocomplete=${kind}
    aria-describedby=${`password-${name}-hint password-problem`}
    aria-invalid=${problem === "" ? undefined : "true"}
    value=${values[name]}
    onInput=${(/** @type {any} */ event) => setValues({ ...values, [name]: event.target.value })}
  />`;
  return html`<section class="block" aria-labelledby="password-title">
    <h2 id="password-title">Password</h2>
    <form ref=${form} onSubmit=${submit}>
      <span class="visually-hidden"><input name="username" value="admin" autocomplete="username" tabindex="-1" aria-hidden="true" readonly /></span>
      <${Field} label="Password now" id="password-old">${input("old", "current-password")}<//>
      <${Field} label="New password" id="password-next" hint=${RULES}>${input("next", "new-password")}<//>
      <${Field} label="New password again" id="password-again">${input("again", "new-password")}<//>
      <p class="problem" id="password-problem" role="alert" hidden=${problem === ""}>${problem}</p>
      <p class="hint">All sessions end, this one too.</p>
      <div class="actions"><button class="primary" disabled=${busy}>${busy ? "Changing…" : "Change the password"}</button></div>
    </form>
  </section>`;
}

/** @param {string} words */
function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${words.endsWith(".") ? "" : "."}`;
}
