/** The logs of a manager by partition: the current ones, and the future ones that are to take their place in another directory. */
import { partitionKey } from './checkpoint-file.ts'
import type { PartitionLog } from './partition-log.ts'

export class ReplicaLogs {
  readonly current = new Map<string, PartitionLog>()
  readonly future = new Map<string, PartitionLog>()

  all(): PartitionLog[] {
    return [...this.current.values(), ...this.future.values()]
  }

  /** At most one of a partition's two logs lies in one directory. */
  in(directory: string): PartitionLog[] {
    return this.all().filter(({ logDirectory }) => logDirectory === directory)
  }

  isCurrent(log: PartitionLog): boolean {
    return this.current.get(keyOf(log)) === log
  }

  forget(log: PartitionLog): void {
    const key = keyOf(log)
    if (this.current.get(key) === log) this.current.delete(key)
    else if (this.future.get(key) === log) this.future.delete(key)
  }

  clear(): void {
    this.current.clear()
    this.future.clear()
  }
}

export function keyOf({ topic, partition }: PartitionLog): string {
  return partitionKey(topic, partition)
}
