// The hypervisor's HTTP API.

const TIME_LIMIT = 20_000; // ms; the server itself gives up on a node after 5 s

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

/**
 * @param {string} path under /api
 * @returns {Promise<any>}
 */
export function get(path) {
  return call("GET", path);
}

/**
 * Routes that name a node want a fresh CSRF token; the account routes do not.
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export async function post(path, body) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (path.startsWith("/visors/")) headers["X-CSRF-Token"] = (await get("/csrf")).csrf_token;
  return call("POST", path, headers, body === undefined ? undefined : JSON.stringify(body));
}

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
      signal: AbortSignal.timeout(TIME_LIMIT),
    });
  } catch {
    throw new ApiError(0, "the server does not answer");
  }
  const content = await answer.json().catch(() => null);
  if (!answer.ok) {
    throw new ApiError(answer.status, content?.error ?? `the server answers ${answer.status}`);
  }
  return content;
}
