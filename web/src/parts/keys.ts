/** Whether a key press belongs to a field that is being filled in. */
export function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return !!target?.closest("input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]");
}
