// The clipboard, also without HTTPS.

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS a page may only copy what is selected.
    const field = document.createElement("textarea");
    field.className = "visually-hidden";
    field.value = text;
    const place = document.activeElement?.closest("dialog") ?? document.body;
    place.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
