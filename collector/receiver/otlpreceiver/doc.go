// Package otlpreceiver is Belfry's receiver of OTLP over gRPC and HTTP. It is
// called otlp and configured like the Collector's own, whose configuration
// structs it embeds; what differs is what it does with a request:
//
//   - Bytes stay bytes until something needs the records: a request that no
//     processor looks at goes to the store as the sender wrote it.
//   - The answer says what the store did: partial_success with the reason for
//     rejected records, and for refusals a code and a delay that make a sender
//     try again, or not.
//   - Malformed input is INVALID_ARGUMENT over gRPC too, and cannot exhaust the
//     stack or the memory.
//   - The tenant is read from X-Scope-OrgID.
//   - Its listeners outlive a reload: connections that arrive meanwhile wait.
package otlpreceiver
