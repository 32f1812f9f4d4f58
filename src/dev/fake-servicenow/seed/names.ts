/** Every seeded record by what is special about it, so that a test says what it means. */
export const SEED = {
  changes: {
    /** Part of the demonstration data of real instances. */
    demo: 'CHG0000024',

    new: 'CHG0030001',
    assess: 'CHG0030002',
    authorize: 'CHG0030003',
    scheduled: 'CHG0030004',
    implement: 'CHG0030005',
    review: 'CHG0030006',
    closed: 'CHG0030007',
    canceled: 'CHG0030008',

    standardNew: 'CHG0030009',
    standardAssess: 'CHG0030010',
    standardAuthorize: 'CHG0030011',
    standardScheduled: 'CHG0030012',
    standardImplement: 'CHG0030013',
    standardReview: 'CHG0030014',
    standardClosed: 'CHG0030015',
    standardCanceled: 'CHG0030016',

    emergencyNew: 'CHG0030017',
    emergencyAssess: 'CHG0030018',
    emergencyAuthorize: 'CHG0030019',
    emergencyScheduled: 'CHG0030020',
    emergencyImplement: 'CHG0030021',
    emergencyReview: 'CHG0030022',
    emergencyClosed: 'CHG0030023',
    emergencyCanceled: 'CHG0030024',

    /** In Implement like the rest from here on, and on hold. */
    onHold: 'CHG0030025',
    /** `start_date` an hour ago, `end_date` in an hour, by the clock at start. */
    windowOpen: 'CHG0030026',
    windowFuture: 'CHG0030027',
    windowPast: 'CHG0030028',
    windowStartOnly: 'CHG0030029',
    windowEndOnly: 'CHG0030030',
    /** Days without a time, in `u_start_day` and `u_end_day`: from yesterday to tomorrow. */
    windowDays: 'CHG0030031',
    windowEndBeforeStart: 'CHG0030032',
    /** A description of 40 kB. */
    longDescription: 'CHG0030033',
    /** Emoji, combining marks and characters outside the basic plane. */
    unicode: 'CHG0030034',
    rightToLeft: 'CHG0030035',
    /** `^`, `,`, `=`, `&`, `+`, `#` and `%` in the short description. */
    specialCharacters: 'CHG0030036',
    /** Custom fields set; `u_security_review` can't be read by `svc_read`. */
    customFields: 'CHG0030037',
    /** A state that no choice list knows: 20. */
    unknownState: 'CHG0030038',
    /** Two work notes and a comment, a watch list with a comma in a name, a duration. */
    journal: 'CHG0030039',
    /** No assignee, group, window or risk: every optional field is empty. */
    bare: 'CHG0030040',
  },
  changeTasks: {
    pending: 'CTASK0010001',
    open: 'CTASK0010002',
    inProgress: 'CTASK0010003',
    closed: 'CTASK0010004',
    canceled: 'CTASK0010005',
  },
  incidents: {
    demo: 'INC0000046',
    otherDemo: 'INC0000050',
    plain: 'INC0010002',
    new: 'INC0010011',
    inProgress: 'INC0010012',
    onHold: 'INC0010013',
    resolved: 'INC0010014',
    closed: 'INC0010015',
    canceled: 'INC0010016',
  },
  problems: {
    demo: 'PRB0000050',
    new: 'PRB0040001',
    assess: 'PRB0040002',
    rootCauseAnalysis: 'PRB0040003',
    fixInProgress: 'PRB0040004',
    resolved: 'PRB0040005',
    closed: 'PRB0040006',
  },
  catalogTasks: {
    pending: 'SCTASK0010001',
    open: 'SCTASK0010002',
    workInProgress: 'SCTASK0010003',
    closedComplete: 'SCTASK0010004',
    closedIncomplete: 'SCTASK0010005',
    closedSkipped: 'SCTASK0010006',
  },
  /** In `u_demo_custom`, which extends task. */
  gates: { open: 'GATE0001001', shut: 'GATE0001002' },
  /** `u_paging`: so many rows, `PAG0000001` upwards, all with the same `u_key`. */
  paging: { table: 'u_paging', rows: 2_000, key: 'same' },
  /** Tables that no service user can read: one looks empty, one is refused. */
  unreadable: { empty: 'u_confidential', refused: 'sys_db_object' },
  sysIds: {
    demoChange: '1766f1de47410200e90d87e8dee490f6',
    admin: '6816f79cc0a8016401c5a33be04be441',
    problemAdmin: '26fbff173b331300ad3cc9bb34efc4bd',
    networkGroup: '287ebd7da9fe198100f92cc8d1d2154e',
    hardwareGroup: '8a5055c9c61122780043563ef53438e3',
  },
} as const;
