"""How a service starts, maps errors, reports health and stops: the only part of `shared` that knows gRPC's server."""
