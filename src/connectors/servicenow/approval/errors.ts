import { errorsOf, type ErrorKinds } from '../../../kit/errors.ts';

/** What can go wrong, or deserves a warning, when a ticket is held against its criteria. */
export const APPROVAL_ERRORS = {
  'servicenow.expression-invalid': {
    category: 'invalid-input',
    means:
      'An approval expression is not written in the language. The message and its details give the place.',
    remedy: 'The language is described in docs/expressions.md.',
  },
  'servicenow.field-missing': {
    category: 'not-found',
    means:
      'A field that the criteria or the change window need is not in ServiceNow’s answer: it does not exist, or the ' +
      'integration user may not read it. ServiceNow does not say which.',
    remedy: "Check the spelling, and that the integration user's roles let it read this field.",
  },
  'servicenow.not-comparable': {
    category: 'invalid-input',
    means:
      'A comparison has no answer for what the ticket holds, such as a word compared with a number. Taking it for ' +
      '"not met" would let a change through under a negation.',
    remedy: 'Both must be numbers, or both UTC dates as ServiceNow stores them.',
  },
  'servicenow.value-too-long': {
    category: 'invalid-input',
    means: 'A field is longer than a pattern is matched against. It is refused and not cut.',
    remedy: 'Use a shorter field, or "contains", which has no such bound.',
  },
  'servicenow.change-window-invalid': {
    category: 'invalid-input',
    means:
      'The change window has a blank end, an end that is no date, or an end that is not after its start.',
    remedy:
      'Correct the dates on the ticket, or name other fields in changeWindow. "onMissing" says what blank ones mean.',
  },
  'servicenow.change-window-past': {
    category: 'refused',
    means: 'The ticket meets the approval criteria, and its change window is over.',
    remedy:
      'Plan the change anew in ServiceNow; "onPast: reject" in changeWindow would reject instead of failing.',
  },
  'servicenow.ticket-on-hold': {
    category: 'refused',
    means:
      'A warning: the ticket meets the approval criteria, which do not look at on_hold, and it is on hold.',
    remedy:
      'Add the condition "on_hold equals false" to the approval criteria if a change on hold shall wait.',
  },
  'servicenow.ticket-closed': {
    category: 'refused',
    means:
      'A warning: the ticket was closed or cancelled while its approval was awaited, and no rejection criterion looks ' +
      'at that. It will hardly be approved any more.',
    remedy: 'Add the condition "active equals false" to the rejection criteria, so that the wait ends here.',
  },
} as const satisfies ErrorKinds;

export const approvalError = errorsOf(APPROVAL_ERRORS);
