// The command that does what a button does.

/**
 * @param {string} words behind "skywire cli", e.g. "visor halt"
 * @param {{key: string, own: boolean}} node the hypervisor's own node needs no way to it
 */
export function command(words, node) {
  return `skywire cli ${node.own ? "" : `--via dmsg://${node.key} `}${words}`;
}

/**
 * @param {string} text
 * @returns {string} as a shell takes it for one word
 */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
