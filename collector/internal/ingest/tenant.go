package ingest

import (
	"context"

	"go.opentelemetry.io/collector/client"

	"belfry/internal/tenant"
)

// WithTenant returns a context for a request that names a tenant; an empty id
// leaves the context's own. The name is kept as client metadata too, which is
// all that survives a batch processor.
func WithTenant(ctx context.Context, id string) (context.Context, error) {
	if id == "" {
		id = tenant.ID(ctx)
		if id == tenant.Default {
			return ctx, nil
		}
	}
	if err := tenant.Validate(id); err != nil {
		return ctx, err
	}
	ctx = tenant.WithID(ctx, id)
	info := client.FromContext(ctx)
	if len(info.Metadata.Get(tenant.Header)) == 0 {
		md := map[string][]string{tenant.Header: {id}}
		for key := range info.Metadata.Keys() {
			md[key] = info.Metadata.Get(key)
		}
		info.Metadata = client.NewMetadata(md)
		ctx = client.NewContext(ctx, info)
	}
	return ctx, nil
}

// TenantOf returns the tenant that a batch belongs to: the context's, or else
// the one in the client metadata.
func TenantOf(ctx context.Context) (string, error) {
	id := tenant.ID(ctx)
	if id != tenant.Default {
		return id, nil
	}
	if named := client.FromContext(ctx).Metadata.Get(tenant.Header); len(named) > 0 && named[0] != "" {
		return named[0], tenant.Validate(named[0])
	}
	return id, nil
}
