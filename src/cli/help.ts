export const HELP = `servicenow-delegate: runs in your network, takes tasks from a manager, calls your ServiceNow

  servicenow-delegate run [flags]      the delegate; "config --help" lists its settings
  servicenow-delegate config [flags]   print the effective settings, secrets masked
  servicenow-delegate manager          the reference manager alone (docs/manager.md)
  servicenow-delegate demo             the whole world on this machine, a story, and an end (not in the image)
  servicenow-delegate dev              the same world, left running, to play with (not in the image)
  servicenow-delegate --version

Start the delegate with two settings:
  DELEGATE_MANAGER_URL=https://manager.example.com DELEGATE_ENROLMENT_TOKEN_FILE=/run/secrets/token servicenow-delegate run
`;
