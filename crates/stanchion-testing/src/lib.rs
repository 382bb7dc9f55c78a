//! Conformance suites and throwaway servers from local binaries; a dev-dependency only.
