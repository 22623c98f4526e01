# syntax=docker/dockerfile:1

# Cross-compile on the build platform, without emulation.
FROM --platform=$BUILDPLATFORM golang:1.26.11-bookworm AS build
WORKDIR /src

# Modules change less often than code, so they get their own layer.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
ARG VERSION=unknown
ARG REVISION=unknown
ARG BRANCH=unknown
ARG BUILD_DATE=unknown
# The Makefile defines the build; `make docker` passes the arguments.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/go/build-cache \
    GOCACHE=/go/build-cache GOOS="$TARGETOS" GOARCH="$TARGETARCH" GOARM="${TARGETVARIANT#v}" \
    make build VERSION="$VERSION" REVISION="$REVISION" BRANCH="$BRANCH" BUILD_DATE="$BUILD_DATE"

# Has CA certificates and an unprivileged user, but no shell.
FROM gcr.io/distroless/static-debian13:nonroot

ARG VERSION=unknown
ARG REVISION=unknown
ARG BUILD_DATE=unknown
LABEL org.opencontainers.image.title="chattonic_exporter" \
      org.opencontainers.image.description="Prometheus exporter for the stats API of Chat-Tonic" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$BUILD_DATE" \
      org.opencontainers.image.base.name="gcr.io/distroless/static-debian13:nonroot"

COPY --from=build /src/chattonic_exporter /bin/chattonic_exporter

# Numeric, so that Kubernetes can verify that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 10042
# It sends no request to Chat-Tonic. It follows the container's environment: the
# variables of --web.listen-address and --web.config.file, also with TLS,
# passwords and client certificates. With these flags as arguments instead, set
# CHATTONIC_EXPORTER_HEALTHCHECK_URL.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 \
    CMD ["/bin/chattonic_exporter", "healthcheck"]
ENTRYPOINT ["/bin/chattonic_exporter"]
