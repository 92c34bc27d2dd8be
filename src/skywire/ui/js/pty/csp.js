// xterm.js writes styles in two ways that `style-src 'self'` forbids: text in <style> elements
// and `setAttribute("style", …)`. Both have a twin in the CSS object model, which the policy
// allows. Import this before xterm.

const createElement = Document.prototype.createElement;
const setAttribute = Element.prototype.setAttribute;

/**
 * @this {Document}
 * @param {string} tag
 * @param {ElementCreationOptions} [options]
 */
Document.prototype.createElement = function (tag, options) {
  return tag === "style" ? styleSheet() : createElement.call(this, tag, options);
};

/**
 * @this {Element}
 * @param {string} name
 * @param {string} value
 */
Element.prototype.setAttribute = function (name, value) {
  if (name === "style" && this instanceof HTMLElement) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

/** @returns {HTMLElement} an inert element whose text is a style sheet of the document */
function styleSheet() {
  const element = createElement.call(document, "template");
  const sheet = new CSSStyleSheet();
  const remove = element.remove;
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", {
    /** @param {string} text */
    set: (text) => sheet.replaceSync(text),
  });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    remove.call(element);
  };
  return element;
}
