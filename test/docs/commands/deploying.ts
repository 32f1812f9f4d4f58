import type { Proof } from './registry.ts';

/** Of deploy/README.md: engines and machines that tests have none of. What the commands are given is tested in their place. */

function standIn(why: string, file: string, holds: RegExp): Proof {
  return { by: 'stand-in', since: '2026-11-24', why, looks: [[file, holds]] };
}

const noDocker = (holds: RegExp, file = 'Dockerfile'): Proof =>
  standIn('no Docker engine where tests run; npm run test:image builds with buildah', file, holds);
const noCluster = (file: string, holds: RegExp): Proof =>
  standIn('no cluster where tests run; what kustomize renders is validated', file, holds);
const noSystemd = (holds: RegExp): Proof =>
  standIn(
    'it changes the machine; systemd-analyze looks at the unit',
    'deploy/systemd/servicenow-delegate.service',
    holds,
  );
const byHand = (file: string, holds: RegExp): Proof => standIn('it is for an editor', file, holds);

const COMPOSE = 'deploy/compose/compose.yaml';
const MINIMAL = 'deploy/kubernetes/overlays/minimal';
const POD = 'deploy/kubernetes/base/deployment.yaml';

export const DEPLOYING: Readonly<Record<string, Proof>> = {
  'npm ci && npm run bundle': {
    by: 'test',
    file: 'test/deploy/bundle.test.ts',
    holds: "makeBundle({ folder, clients: 'include' })",
  },
  'docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 -e DELEGATE_MANAGER_URL=https://manager.example.com -e DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/enrolment-token -v "$PWD/enrolment-token:/run/secrets/enrolment-token:ro" -v delegate-state:/var/lib/servicenow-delegate servicenow-delegate':
    noDocker(/^VOLUME \["\/var\/lib\/servicenow-delegate"\]$/m),
  'docker buildx build --platform linux/amd64,linux/arm64 --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:DIGEST --build-arg RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot@sha256:DIGEST --build-arg VERSION="$(node -p \'require("./package.json").version\')" --build-arg REVISION="$(git rev-parse HEAD)" --tag registry.example.com/servicenow-delegate:VERSION --push .':
    noDocker(
      /^ARG NODE_IMAGE=node:24-bookworm-slim\nARG RUNTIME_IMAGE=gcr\.io\/distroless\/nodejs24-debian12:nonroot$/m,
    ),
  'cd deploy/compose': noDocker(/^services:$/m, COMPOSE),
  'mkdir secrets': noDocker(/file: \.\/secrets\/enrolment-token/, COMPOSE),
  '$EDITOR policy.yaml': byHand('deploy/compose/policy.yaml', /^version: 1$/m),
  'DELEGATE_MANAGER_URL=https://manager.example.com docker compose up --detach': noDocker(
    /\$\{DELEGATE_MANAGER_URL:\?/,
    COMPOSE,
  ),
  'cp -r deploy/kubernetes/overlays/minimal deploy/kubernetes/overlays/mine': byHand(
    `${MINIMAL}/kustomization.yaml`,
    /\.\.\/\.\.\/base/,
  ),
  '$EDITOR deploy/kubernetes/overlays/mine/*.yaml': byHand(
    `${MINIMAL}/kustomization.yaml`,
    /DELEGATE_MANAGER_URL=/,
  ),
  'kubectl apply -f deploy/kubernetes/overlays/mine/namespace.yaml': noCluster(
    `${MINIMAL}/namespace.yaml`,
    /^kind: Namespace$/m,
  ),
  'kubectl -n servicenow-delegate create secret generic servicenow-delegate --from-file=enrolment-token':
    noCluster(POD, /secretName: servicenow-delegate,/),
  'kubectl -n servicenow-delegate create secret generic servicenow --from-file=password': noCluster(
    POD,
    /secretName: servicenow,/,
  ),
  'kubectl apply -k deploy/kubernetes/overlays/mine': noCluster(
    `${MINIMAL}/kustomization.yaml`,
    /^namespace: servicenow-delegate$/m,
  ),
  'sudo install -d /opt/servicenow-delegate /etc/servicenow-delegate': noSystemd(
    /=\/etc\/servicenow-delegate\//,
  ),
  'sudo cp -r bundle/. LICENSE /opt/servicenow-delegate/': noSystemd(
    / \/opt\/servicenow-delegate\/delegate\.mjs run$/m,
  ),
  'sudo ln -sf /opt/servicenow-delegate/delegate.mjs /usr/local/bin/servicenow-delegate': {
    by: 'test',
    file: 'test/deploy/bundle.test.ts',
    holds: 'await symlink(program, link);',
  },
  'sudo install -m 0600 enrolment-token /etc/servicenow-delegate/': noSystemd(
    /^LoadCredential=enrolment-token:\/etc\/servicenow-delegate\/enrolment-token$/m,
  ),
  'echo DELEGATE_MANAGER_URL=https://manager.example.com | sudo tee /etc/servicenow-delegate/delegate.env':
    noSystemd(/^EnvironmentFile=\/etc\/servicenow-delegate\/delegate\.env$/m),
  'sudo cp deploy/systemd/servicenow-delegate.service /etc/systemd/system/': noSystemd(/^\[Unit\]$/m),
  'sudo systemctl daemon-reload && sudo systemctl enable --now servicenow-delegate': noSystemd(
    /^WantedBy=multi-user\.target$/m,
  ),
};
