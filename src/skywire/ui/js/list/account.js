// Logging in, and the first account of a new hypervisor.

import { ApiError, get, post } from "../api.js";
import { need } from "../dom.js";

const USER = "admin"; // the only name there is

const form = need("account", HTMLFormElement);
const heading = need("account-title", HTMLElement);
const intro = need("account-intro", HTMLElement);
const password = need("password", HTMLInputElement);
const again = need("password-again", HTMLInputElement);
const repeat = need("repeat", HTMLElement);
const rules = need("password-rules", HTMLElement);
const problem = need("account-problem", HTMLElement);
const submit = need("account-submit", HTMLButtonElement);

/**
 * Show the form until somebody is logged in.
 * @returns {Promise<void>}
 */
export async function logIn() {
  const exists = await get("/user-exists").catch(() => true);
  arrange(exists);
  form.hidden = false;
  password.focus();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      void attempt(exists).then((done) => {
        if (!done) return;
        form.onsubmit = null;
        form.hidden = true;
        form.reset();
        resolve();
      });
    };
  });
}

/** @param {boolean} exists whether there is an account already */
function arrange(exists) {
  heading.textContent = exists ? "Log in" : "Create the account";
  intro.textContent = exists
    ? "Sign in to see your nodes."
    : `This hypervisor is new. Choose the password of its one account, “${USER}”.`;
  submit.textContent = exists ? "Log in" : "Create account";
  password.autocomplete = exists ? "current-password" : "new-password";
  repeat.hidden = exists;
  rules.hidden = exists;
  again.required = !exists;
  complain("");
}

/**
 * @param {boolean} exists
 * @returns {Promise<boolean>}
 */
async function attempt(exists) {
  if (!exists && password.value !== again.value) {
    complain("The two passwords differ.");
    again.focus();
    return false;
  }
  const account = { username: USER, password: password.value };
  submit.disabled = true;
  complain("");
  try {
    if (!exists) await post("/create-account", account);
    await post("/login", account);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 403 && error.message === "not logged out") return true;
    complain(sentence(error.message));
    password.focus();
    password.select();
    return false;
  } finally {
    submit.disabled = false;
  }
}

/** @param {string} text */
function complain(text) {
  problem.textContent = text;
  problem.hidden = text === "";
  password.setAttribute("aria-invalid", String(text !== ""));
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
