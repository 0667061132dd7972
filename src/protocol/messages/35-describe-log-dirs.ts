import { api, array, bool, int16, int32, int64, string } from '../schema.ts'
import type { RequestOf, ResponseOf } from '../schema.ts'

export const describeLogDirsApi = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [0, 4],
  flexibleFrom: 2,
  request: {
    topics: array({ topic: string, partitions: array(int32) }).nullable(),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16.from(3),
    results: array({
      errorCode: int16,
      logDir: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          partitionSize: int64,
          offsetLag: int64,
          isFutureKey: bool,
        }),
      }),
      totalBytes: int64.from(4).default(-1),
      usableBytes: int64.from(4).default(-1),
    }),
  },
})

export type DescribeLogDirsRequest = RequestOf<typeof describeLogDirsApi>
export type DescribeLogDirsResponse = ResponseOf<typeof describeLogDirsApi>
