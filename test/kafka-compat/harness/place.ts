/** Where the processes of a cluster run: all on 127.0.0.1, or each behind a network of its own that a test can break. */
export interface Place {
  /** The address its processes listen on, reachable from the test's own process and from every other place. */
  readonly host: string
  /** Command and arguments that run the given ones there, in a process of the same id. */
  launch(command: string, args: readonly string[]): [command: string, args: string[]]
}

export const loopback: Place = {
  host: '127.0.0.1',
  launch: (command, args) => [command, [...args]],
}
