// The redesigned OCI conformance suite (main of distribution-spec, `OCI_VERSION=dev|stable`).
// There is no go.sum beside it: the runner builds a copy with -mod=mod, and the checksum
// database vouches for what the proxy serves.
module artifactstore.invalid/conformance/dev

go 1.24.0

tool github.com/opencontainers/distribution-spec/conformance

require github.com/opencontainers/distribution-spec/conformance v0.0.0-20260716174315-967efdc079b9
