// One action on many nodes: choose it, see what it would change, do it, see what came of it.
// What there is to do, and each preview, come from the server: hypervisor/bulk.py.

import { ApiError, get, postLines } from "../app/api.js";
import { CopyButton, Field, Loading, State } from "../app/components.js";
import { Dialog } from "../app/dialogs.js";
import { fleet, nameOfKey } from "../app/fleet.js";
import { list, text } from "../app/node.js";
import { html, useEffect, useMemo, useRef, useState } from "../app/view.js";
import { shortKey } from "../format.js";

const DANGEROUS = new Set(["shutdown", "reload", "remove-transports"]);
const LAST = new Set(["reload", "shutdown"]); // at the end of the list

/** @type {Record<string, {word: string, hint?: string}>} */
const WORDS = {
  app: { word: "App" },
  autostart: { word: "Start it with the node" },
  min_hops: { word: "Minimum hops", hint: "0 or 1: directly when possible." },
  public_autoconnect: { word: "Connect to public nodes by itself" },
  reward_address: { word: "Skycoin address", hint: "Empty: no rewards." },
  transport_type: { word: "Type", hint: "stcpr, sudph or dmsg." },
  remote_pk: { word: "Key of the other node" },
  log_rotation_interval: { word: "Keep logs for", hint: "For example 168h0m0s." },
};

/**
 * @typedef {{action: string, help: string, properties: [string, any][], required: Set<string>}} Action
 * @typedef {{pk: string, ok: boolean, error: string, now: string, then: string, changes: boolean | null, command: string}} Result
 */

/** @param {{keys: string[], onClose: () => void}} props */
export function BulkDialog({ keys, onClose }) {
  const [actions, setActions] = useState(/** @type {Action[] | null} */ (null));
  const [name, setName] = useState("");
  const [values, setValues] = useState(/** @type {Record<string, string>} */ ({}));
  const [step, setStep] = useState(/** @type {"choose" | "preview" | "done"} */ ("choose"));
  const [targets, setTargets] = useState(keys);
  const [results, setResults] = useState(/** @type {ReadonlyMap<string, Result>} */ (new Map()));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const ending = useRef(new AbortController());
  useEffect(() => {
    get("/bulk").then(
      (answer) => setActions(list(answer).map(toAction).sort((one, other) => Number(LAST.has(one.action)) - Number(LAST.has(other.action)))),
      (error) => setProblem(error.message),
    );
    return () => ending.current.abort();
  }, []);
  const action = actions?.find((one) => one.action === name) ?? null;
  const apps = useMemo(() => appsOf(keys), [keys]);

  /** @param {boolean} preview @param {string[]} wanted */
  const run = async (preview, wanted) => {
    if (action === null) return;
    setBusy(true);
    setProblem("");
    setResults(new Map());
    setTargets(wanted);
    setStep(preview ? "preview" : "done");
    /** @type {Map<string, Result>} */
    const found = new Map();
    const body = { action: name, visors: wanted, args: argumentsOf(action, values), preview };
    try {
      await postLines(
        "/bulk",
        body,
        (line) => {
          if (typeof line?.pk !== "string") return;
          found.set(line.pk, toResult(line));
          setResults(new Map(found));
        },
        ending.current.signal,
      );
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error.message);
      if (preview) setStep("choose");
    }
    setBusy(false);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void run(true, keys);
  };
  const able = targets.filter((key) => results.get(key)?.ok);
  const failed = targets.filter((key) => results.get(key)?.ok === false);
  const commands = [...results.values()].map((one) => one.command).filter(Boolean);
  const count = keys.length === 1 ? nameOfKey(keys[0]) || shortKey(keys[0]) : `${keys.length} nodes`;
  const danger = DANGEROUS.has(name);
  const heading = step === "choose" ? `Do something with ${count}` : (action?.help ?? "");

  return html`<${Dialog} title=${heading} onClose=${onClose} wide>
    ${problem === "" ? null : html`<p class="problem" role="alert">${sentence(problem)}</p>`}
    ${step === "choose"
      ? html`<form onSubmit=${submit}>
          ${actions === null && problem === "" ? html`<${Loading} />` : null}
          ${actions === null ? null : html`<${Choice} actions=${actions} name=${name} onChoose=${setName} />`}
          ${action === null ? null : html`<${Arguments} action=${action} values=${values} apps=${apps} onChange=${setValues} />`}
          <div class="actions">
            <button type="button" onClick=${onClose}>Cancel</button>
            <button class="primary" disabled=${action === null || busy}>Preview</button>
          </div>
        </form>`
      : html`
          <p class="outcome" role="status">${outcome(step, busy, targets.length, able.length, failed.length)}</p>
          <${Results} keys=${targets} results=${results} step=${step} />
          <div class="actions">
            ${commands.length > 1
              ? html`<span class="all-commands"><${CopyButton} text=${`${commands.join("\n")}\n`} what="commands" /> the same as ${commands.length} commands</span>`
              : null}
            <span class="spacer"></span>
            ${step === "preview"
              ? html`<button type="button" onClick=${() => setStep("choose")}>Back</button>
                  <button type="button" class=${danger ? "danger" : "primary"} disabled=${busy || able.length === 0} onClick=${() => void run(false, able)}>
                    ${able.length === 1 ? "Do it" : `Do it on ${able.length} nodes`}
                  </button>`
              : html`${!busy && failed.length > 0
                    ? html`<button type="button" onClick=${() => void run(false, failed)}>Try ${failed.length} again</button>`
                    : null}
                  <button type="button" class="primary" onClick=${onClose}>${busy ? "Leave" : "Close"}</button>`}
          </div>
        `}
  <//>`;
}

/** @param {{actions: Action[], name: string, onChoose: (name: string) => void}} props */
function Choice({ actions, name, onChoose }) {
  return html`<fieldset class="choices">
    <legend class="visually-hidden">Action</legend>
    ${actions.map(
      (one) => html`<label key=${one.action} class=${DANGEROUS.has(one.action) ? "choice danger-choice" : "choice"}>
        <input type="radio" name="action" value=${one.action} checked=${one.action === name} onChange=${() => onChoose(one.action)} />
        <span>${one.help}</span>
      </label>`,
    )}
  </fieldset>`;
}

/**
 * Inputs for what the action takes.
 * @param {{action: Action, values: Record<string, string>, apps: string[], onChange: (values: Record<string, string>) => void}} props
 */
function Arguments({ action, values, apps, onChange }) {
  return action.properties.map(([name, schema]) => {
    const { word, hint } = WORDS[name] ?? { word: name };
    const id = `argument-${name}`;
    const set = (/** @type {any} */ event) => onChange({ ...values, [name]: event.target.value });
    const value = values[name] ?? (schema.type === "boolean" ? "true" : "");
    const common = { id, name, "aria-describedby": `${id}-hint`, onInput: set };
    let input;
    if (schema.type === "boolean") {
      input = html`<select ...${common} value=${value}>
        <option value="true">yes</option>
        <option value="false">no</option>
      </select>`;
    } else if (schema.type === "integer") {
      input = html`<input ...${common} type="number" required min=${schema.minimum} max=${schema.maximum} value=${value} />`;
    } else {
      const options = name === "app" ? apps : name === "transport_type" ? ["stcpr", "sudph", "dmsg", "stcp"] : [];
      input = html`<input ...${common} type="text" required=${(schema.minLength ?? 0) > 0} maxlength=${schema.maxLength} list=${`${id}-list`} autocomplete="off" spellcheck="false" value=${value} />
        <datalist id=${`${id}-list`}>${options.map((option) => html`<option value=${option} />`)}</datalist>`;
    }
    return html`<${Field} key=${name} label=${word} id=${id} hint=${hint ?? ""}>${input}<//>`;
  });
}

/** @param {{keys: string[], results: ReadonlyMap<string, Result>, step: string}} props */
function Results({ keys, results, step }) {
  return html`<ul class="results" tabindex="0" aria-label="Nodes">
    ${keys.map((key) => {
      const result = results.get(key);
      return html`<li key=${key}>
        <span class="result-name">${nameOfKey(key) || html`<code>${shortKey(key)}</code>`}</span>
        <span class="result-what">
          ${result === undefined
            ? html`<${State} mark="wait" word="waiting" />`
            : !result.ok
              ? html`<${State} mark="bad" word=${step === "preview" ? "will be left out" : "failed"} /> <span class="why">${sentence(readable(result.error))}</span>`
              : step === "done"
                ? html`<${State} mark="good" word="done" />`
                : html`<span class=${result.changes === false ? "same-already" : ""}>
                    ${result.now === "" ? result.then : result.changes === false ? `already ${result.then}` : `${result.now} → ${result.then}`}
                  </span>`}
        </span>
        ${result?.command ? html`<${CopyButton} text=${result.command} what="command" />` : null}
        ${result?.command && keys.length <= 3 ? html`<code class="result-command">${result.command}</code>` : null}
      </li>`;
    })}
  </ul>`;
}

/**
 * @param {"preview" | "done"} step
 * @param {boolean} busy
 * @param {number} all
 * @param {number} able
 * @param {number} failed
 */
function outcome(step, busy, all, able, failed) {
  if (busy) return `${able + failed} of ${all} have answered…`;
  if (step === "preview") {
    if (able === 0) return "It cannot be done on any of them now.";
    return failed === 0 ? "Nothing has been done yet. This is what would change:" : `Nothing has been done yet. ${failed} of ${all} will be left out:`;
  }
  return failed === 0 ? `Done on ${all === 1 ? "the node" : `all ${all} nodes`}.` : `Done on ${able}, failed on ${failed}.`;
}

/**
 * @param {any} entry
 * @returns {Action}
 */
function toAction(entry) {
  const schema = entry?.arguments ?? {};
  const resolved = schema.$defs?.[text(schema.$ref).split("/").pop() ?? ""] ?? schema;
  return {
    action: text(entry?.action),
    help: text(entry?.help),
    properties: Object.entries(resolved.properties ?? {}),
    required: new Set(list(resolved.required)),
  };
}

/**
 * @param {Action} action
 * @param {Record<string, string>} values
 */
function argumentsOf(action, values) {
  return Object.fromEntries(
    action.properties.map(([name, schema]) => {
      const value = values[name] ?? "";
      if (schema.type === "boolean") return [name, value !== "false"];
      if (schema.type === "integer") return [name, Number(value)];
      return [name, value.trim()];
    }),
  );
}

/**
 * @param {any} line
 * @returns {Result}
 */
function toResult(line) {
  return {
    pk: line.pk,
    ok: line.ok === true,
    error: text(line.error) || `status ${line.status}`,
    now: text(line.now),
    then: text(line.then),
    changes: typeof line.changes === "boolean" ? line.changes : null,
    command: text(line.command),
  };
}

/** @param {string[]} keys */
function appsOf(keys) {
  const nodes = keys.map((key) => fleet.state.nodes.get(key));
  return [...new Set(nodes.flatMap((node) => node?.apps ?? []))].sort();
}

/**
 * @param {string} error
 * @returns {string} the same, with names or short keys
 */
function readable(error) {
  return error.replace(/'?([0-9a-f]{66})'?/g, (_, key) => nameOfKey(key) || shortKey(key));
}

/** @param {string} words */
function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}
