// The one script of every page.
import { BoardElement } from "./board.ts";
import { wireTheme } from "./header.ts";
import { PanelElement } from "./panel.ts";

wireTheme();
customElements.define("fr-panel", PanelElement);
customElements.define("fr-board", BoardElement);
