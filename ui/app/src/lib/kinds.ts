/** Which store a rule asks, and so which language its expression is in. */
export type RuleKind = "metrics" | "logs" | "traces";

/** Guesses the language of an expression where nobody says. */
export function kindOfExpression(expr: string): RuleKind {
  const spans =
    /\}\s*\|\s*(rate|count_over_time|sum_over_time|avg_over_time|min_over_time|max_over_time|quantile_over_time|histogram_over_time)\s*\(/;
  if (spans.test(expr)) return "traces";
  const linePipeline =
    /\{[^}]*\}\s*(\|[=~>]|![=~>]|\|\s*(json|logfmt|pattern|regexp|unpack|line_format|label_format|[a-zA-Z_]\w*\s*[=!<>]))/;
  // A selector without a metric's name is legal PromQL, but nobody counts so.
  const lineCount = /\b(count_over_time|rate|bytes_rate|bytes_over_time)\s*\(\s*\{/;
  return linePipeline.test(expr) || lineCount.test(expr) ? "logs" : "metrics";
}
