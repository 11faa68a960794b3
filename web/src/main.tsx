import { render } from "preact";

import { App } from "./App";
import { watch } from "./state";
import "./style.css";

render(<App />, document.getElementById("app")!);
void watch();
