/** The `odradek` command. */
import { run } from './command/run.ts'

void run(process.argv.slice(2))
