package collector

// Defaults is the configuration that a user's is merged over.
const Defaults = `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:4317
      http:
        endpoint: 127.0.0.1:4318
  belfry: {}
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 75
    spike_limit_percentage: 15
exporters:
  belfry: {}
service:
  pipelines:
    logs:
      receivers: [otlp, belfry]
      processors: [memory_limiter]
      exporters: [belfry]
    traces:
      receivers: [otlp, belfry]
      processors: [memory_limiter]
      exporters: [belfry]
    metrics:
      receivers: [otlp, belfry]
      processors: [memory_limiter]
      exporters: [belfry]
`
