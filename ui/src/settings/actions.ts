// Operations that the audit log holds, in the order in which they are offered. A
// test holds them against the API's.
export const actions = [
  'login', 'logout', 'setup', 'change-password', 'add-user', 'change-user', 'remove-user', 'add-token', 'revoke-token',
  'add-enrolment-token', 'revoke-enrolment-token', 'enrol', 'label-host', 'revoke-host', 'remove-host',
  'start-scan', 'start-sync', 'stop-task', 'retry-task', 'add-schedule', 'change-schedule', 'remove-schedule',
  'decide', 'preview-decisions', 'change-decision', 'revoke-decision', 'add-vex-document', 'remove-vex-document', 'start-export',
  'set-settings', 'update-database', 'import-database',
] as const
