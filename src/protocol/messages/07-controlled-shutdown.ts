import { api, array, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

/** Version 0 is the one request without a client id in its header (frame.ts). */
export const controlledShutdownApi = api({
  key: 7,
  name: 'ControlledShutdown',
  versions: [0, 3],
  flexibleFrom: 3,
  request: {
    brokerId: int32,
    brokerEpoch: int64.from(2).default(-1),
  },
  response: {
    errorCode: int16,
    remainingPartitions: array({ topicName: string, partitionIndex: int32 }),
  },
})

export type ControlledShutdownRequest = RequestOf<typeof controlledShutdownApi>
export type ControlledShutdownResponse = ResponseOf<typeof controlledShutdownApi>
