// Package tenant says whose data a request is about. Every append and every
// query carries a tenant; stores keep tenants apart on disk, so an ID is also a
// folder name and is held to characters that are safe as one.
package tenant
