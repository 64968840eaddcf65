import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/pages/shared.css";
import "./styles/pages/metrics.css";
import "./styles/pages/logs.css";
import "./styles/pages/traces.css";
import "./styles/pages/alerts.css";
import "./styles/pages/overview.css";
import "./styles/pages/incidents.css";
import "./styles/pages/oncall.css";
import "./styles/pages/inbox.css";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
