// The terminal emulator and what is peculiar to ours: fitting, fonts, replays, pasting.

import "./csp.js";
import { FitAddon } from "../../vendor/addon-fit/addon-fit.mjs";
import { SearchAddon } from "../../vendor/addon-search/addon-search.mjs";
import { Unicode11Addon } from "../../vendor/addon-unicode11/addon-unicode11.mjs";
import { WebLinksAddon } from "../../vendor/addon-web-links/addon-web-links.mjs";
import { Terminal } from "../../vendor/xterm/xterm.mjs";
import { recall, remember } from "../storage.js";
import { currentTheme } from "../theme.js";
import { PALETTES } from "./palette.js";

const FONT_SIZE = { least: 8, usual: 14, most: 32 }; // pixels
const SCROLLBACK = 10_000; // lines
const RING = 262_144; // bytes: no replay is longer
const REPLAY_PAUSE = 250; // ms without output, after which a replay is over
// Cancel what a program may have left on: alternate screen, mouse, paste and focus reports,
// application keys, margins, colours, a hidden cursor.
const CALM =
  "\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[!p\x1b[?25h\x1b[0m";

const encoder = new TextEncoder();

export class Screen {
  #fit = new FitAddon();
  #fitted = true;
  #replayLeft = 0;
  #replayTimer = 0;
  #sizes;
  #theme = "";

  /**
   * @param {HTMLElement} place
   * @param {(bytes: Uint8Array<ArrayBuffer>) => void} onInput
   * @param {() => void} onResize
   * @param {(title: string) => void} onTitle
   */
  constructor(place, onInput, onResize, onTitle) {
    this.place = place;
    this.terminal = new Terminal({
      allowProposedApi: true, // for the unicode and search add-ons
      cursorBlink: true,
      fontFamily: getComputedStyle(place).getPropertyValue("--mono"),
      fontSize: fontSize(),
      lineHeight: 1.15,
      minimumContrastRatio: 4.5, // for what programs put on backgrounds of their own
      rightClickSelectsWord: false,
      screenReaderMode: recall("local", "skywire.screenReader") === "on",
      scrollback: SCROLLBACK,
      theme: PALETTES[currentTheme()],
    });
    this.search = new SearchAddon();
    for (const addon of [this.#fit, this.search, new Unicode11Addon(), new WebLinksAddon(openLink)]) {
      this.terminal.loadAddon(addon);
    }
    this.terminal.unicode.activeVersion = "11";
    this.#muteReplays();
    this.terminal.open(place);
    this.fit(); // before anybody listens: the first size is no change
    this.terminal.onData((text) => onInput(encoder.encode(this.translate(text))));
    this.terminal.onBinary((text) => onInput(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    this.terminal.onResize(onResize);
    this.terminal.onTitleChange(onTitle);
    this.#sizes = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.#sizes.observe(place);
  }

  /**
   * Changes typed text; the key bar's Ctrl key sits here.
   * @type {(text: string) => string}
   */
  translate = (text) => text;

  get size() {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  /** Take it off the page. */
  close() {
    this.#sizes.disconnect();
    clearTimeout(this.#replayTimer);
    this.terminal.dispose();
  }

  /**
   * Have the size of a session that is only looked at, whatever fits.
   * @param {number} cols
   * @param {number} rows
   */
  lookOn(cols, rows) {
    if (cols < 1 || rows < 1) return;
    this.#fitted = false;
    this.place.classList.add("looking-on");
    this.terminal.resize(cols, rows);
  }

  fit() {
    if (!this.#fitted) return;
    if (this.place.clientWidth > 0 && this.place.clientHeight > 0) this.#fit.fit();
  }

  focus() {
    this.terminal.focus();
  }

  /**
   * @param {Uint8Array} data
   * @param {() => void} parsed
   */
  write(data, parsed) {
    if (this.#replayLeft > 0) {
      this.terminal.write(data, () => {
        this.#replayLeft -= data.byteLength;
        this.#expectReplayEnd();
        parsed();
      });
    } else {
      this.terminal.write(data, parsed);
    }
  }

  /** An earlier session is back and all its kept output follows: start from an empty screen. */
  beginReplay() {
    this.terminal.write("\x1bc");
    this.#replayLeft = RING;
    this.#expectReplayEnd();
  }

  /**
   * A line of ours between two shells; what the old one switched on is switched off.
   * @param {string} text
   */
  notice(text) {
    this.#endReplay();
    this.terminal.write(`${CALM}\r\n\x1b[33m[skywire: ${text}]\x1b[0m\r\n`);
  }

  /**
   * A line of ours below what was shown, while that is all there is.
   * @param {string} text
   */
  remark(text) {
    this.terminal.write("\x1b[0m", () => {
      const start = this.terminal.buffer.active.cursorX > 0 ? "\r\n" : "";
      this.terminal.write(`${start}\x1b[33m[skywire: ${text}]\x1b[0m\r\n`);
    });
  }

  /** @param {"dark" | "light"} theme */
  setTheme(theme) {
    if (theme === this.#theme) return;
    this.#theme = theme;
    this.terminal.options.theme = PALETTES[theme];
  }

  /** @param {number} step pixels; 0 goes back to the usual size */
  changeFont(step) {
    const size = step === 0 ? FONT_SIZE.usual : (this.terminal.options.fontSize ?? 0) + step;
    const kept = Math.min(FONT_SIZE.most, Math.max(FONT_SIZE.least, size));
    this.terminal.options.fontSize = kept;
    remember("local", "skywire.fontSize", String(kept));
    this.fit();
  }

  /** @param {boolean} on */
  setScreenReader(on) {
    this.terminal.options.screenReaderMode = on;
    remember("local", "skywire.screenReader", on ? "on" : "off");
  }

  /** @returns {Promise<boolean>} whether there was a selection to copy */
  async copy() {
    const text = this.terminal.getSelection();
    if (text === "") return false;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      document.execCommand("copy"); // without HTTPS there is no other way; xterm fills it in
    }
    return true;
  }

  /** @returns {Promise<boolean>} false when the browser does not let a page read the clipboard */
  async paste() {
    try {
      this.terminal.paste(await navigator.clipboard.readText());
      return true;
    } catch {
      return false;
    }
  }

  /** Questions in a replay were answered long ago: a second answer would be typed at the shell. */
  #muteReplays() {
    const mute = () => this.#replayLeft > 0;
    const { parser } = this.terminal;
    for (const id of [
      { final: "c" },
      { prefix: ">", final: "c" },
      { prefix: "=", final: "c" },
      { final: "n" },
      { prefix: "?", final: "n" },
      { prefix: ">", final: "q" },
      { final: "t" },
      { intermediates: "$", final: "p" },
      { prefix: "?", intermediates: "$", final: "p" },
    ]) {
      parser.registerCsiHandler(id, mute);
    }
    parser.registerDcsHandler({ intermediates: "$", final: "q" }, mute);
    for (const id of [4, 10, 11, 12]) {
      parser.registerOscHandler(id, (text) => mute() && text.includes("?"));
    }
  }

  #expectReplayEnd() {
    clearTimeout(this.#replayTimer);
    if (this.#replayLeft > 0) {
      this.#replayTimer = setTimeout(() => this.#endReplay(), REPLAY_PAUSE);
    }
  }

  #endReplay() {
    clearTimeout(this.#replayTimer);
    this.#replayLeft = 0;
  }
}

function fontSize() {
  const kept = Number(recall("local", "skywire.fontSize"));
  return kept >= FONT_SIZE.least && kept <= FONT_SIZE.most ? kept : FONT_SIZE.usual;
}

/**
 * @param {MouseEvent} _event
 * @param {string} address the add-on finds http and https only
 */
function openLink(_event, address) {
  window.open(address, "_blank", "noopener,noreferrer");
}
