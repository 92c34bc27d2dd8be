// The one place that knows the library (preact and htm): everything else imports from here.
// Text in `html` is text: nothing a node says is ever read as HTML.

export {
  html,
  render,
  useCallback,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "../../vendor/htm-preact/htm-preact.mjs";
