# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS builder
ARG TARGETPLATFORM
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY config config
COPY sql sql
COPY crates crates
COPY tests tests
# The caches keep downloaded and compiled dependencies between builds. Cargo tells a changed source
# by its time, and a checkout may be older than the cache: touch makes it compile our own crates.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=giro-target-$TARGETPLATFORM,sharing=locked \
    find crates config sql tests -type f -exec touch {} + \
    && cargo build --release --locked -p giro-server --bin giro \
    && install -D target/release/giro /out/giro

# glibc and libgcc, no shell and no package manager. The same Debian as the builder: one glibc.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY LICENSE /usr/share/doc/giro/LICENSE
COPY --from=builder /out/giro /usr/local/bin/giro

# All interfaces of the container: what the host publishes decides who can connect.
ENV GIRO__SERVER__LISTEN=0.0.0.0:8080 \
    GIRO__ADMIN__LISTEN=0.0.0.0:9464 \
    GIRO__LOG__FORMAT=json
EXPOSE 8080 9464

# The uid of `nonroot` as a number, so that an orchestrator can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
# Liveness, not readiness: a restart does not help against a database that is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/giro", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/giro"]
CMD ["serve"]

# Last, because they differ in every build.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="giro" \
      org.opencontainers.image.description="A batching transaction server for PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
