// The hypervisor's HTTP API.

const TIME_LIMIT = 20_000; // ms; the server itself gives up on a node after 15 s
const LONG_LIMIT = 70_000; // ms; adding a transport takes the node up to 60 s

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 when there was no answer
   * @param {string} text
   */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Set by the shell: called when the server wants a login. */
export const session = { onLost: () => {} };

/**
 * @param {string} path under /api
 * @returns {Promise<any>}
 */
export function get(path) {
  return call("GET", path);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export function post(path, body) {
  return change("POST", path, body);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export function put(path, body) {
  return change("PUT", path, body);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export function del(path, body) {
  return change("DELETE", path, body);
}

/**
 * Routes that name a node want a fresh CSRF token; one that is not asked for does no harm.
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function change(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (!ACCOUNT.test(path)) headers["X-CSRF-Token"] = (await get("/csrf")).csrf_token;
  return call(method, path, headers, body === undefined ? undefined : JSON.stringify(body));
}

const ACCOUNT = /^\/(login|logout|create-account|change-password)$/;

/**
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string>} [headers]
 * @param {string} [body]
 */
async function call(method, path, headers, body) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, {
      method,
      headers,
      body,
      signal: AbortSignal.timeout(method === "GET" ? TIME_LIMIT : LONG_LIMIT),
    });
  } catch {
    throw new ApiError(0, "the server does not answer");
  }
  if (!answer.ok) throw await refusal(answer, path);
  return answer.json().catch(() => null);
}

/**
 * @param {Response} answer
 * @param {string} path
 */
async function refusal(answer, path) {
  const content = await answer.json().catch(() => null);
  const text = typeof content?.error === "string" ? content.error : "";
  if (answer.status === 401 && !ACCOUNT.test(path)) session.onLost();
  return new ApiError(answer.status, text || `the server answers ${answer.status}`);
}

/**
 * A POST whose answer comes line by line, each a JSON value. Ends with the last line.
 * @param {string} path
 * @param {unknown} body
 * @param {(line: any) => void} onLine
 * @param {AbortSignal} signal
 */
export async function postLines(path, body, onLine, signal) {
  const token = (await get("/csrf")).csrf_token;
  let answer;
  try {
    answer = await fetch(`/api${path}`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/x-ndjson",
        "X-CSRF-Token": token,
      },
      body: JSON.stringify(body),
      signal,
    });
    if (!answer.ok || answer.body === null) throw await refusal(answer, path);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") onLine(JSON.parse(line));
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, signal.aborted ? "it was ended here" : "the server does not answer any more");
  }
}
