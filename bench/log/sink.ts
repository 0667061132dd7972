/** Takes what a TCP server on 127.0.0.1 sends, into one reused buffer, and says how much it was.   log-sink PORT */
import { connect } from 'node:net'

let received = 0
const socket = connect({
  port: Number(process.argv[2]),
  host: '127.0.0.1',
  onread: {
    buffer: Buffer.allocUnsafeSlow(1 << 20),
    callback: (bytes) => {
      received += bytes
      return true
    },
  },
})
// The peer's clock stops when this end closes too, which it does by itself once all has come.
socket.on('close', () => console.log(received))
