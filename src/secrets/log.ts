/** What this room has to say to whoever runs the delegate; never a value. */
export interface SecretsLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}
