import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.common.MetadataVersion;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;

/**
 * Message sets of formats 0 and 1 as Kafka's classes build them, and what those classes make of record batches of magic 2 for
 * clients that read nothing newer. Written by Golden.
 */
class MessageSets {
    static final long TIME = 1_700_000_000_000L;
    static final CompressionType[] CODECS = {
        CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY, CompressionType.LZ4,
    };

    /** Sets, with the records that Kafka reads in them. */
    static List<Object> built() {
        List<Object> sets = new ArrayList<>();
        for (byte magic : new byte[] {0, 1}) {
            for (CompressionType codec : CODECS) {
                String name = "format " + magic + ", " + codec.name;
                sets.add(describe(name + ", few records", magic, codec, build(magic, codec, 5_000_000_000L, false, few())));
                sets.add(describe(name + ", from offset 0", magic, codec, build(magic, codec, 0, false, few())));
                if (magic == 1) {
                    sets.add(describe(name + ", log append time", magic, codec, build(magic, codec, 0, true, few())));
                }
                if (codec != CompressionType.NONE) {
                    sets.add(describe(name + ", many records", magic, codec, build(magic, codec, 77, false, many())));
                }
            }
        }
        return sets;
    }

    /** Batches, with what Kafka converts them down to. */
    static List<Object> convertedDown() {
        List<Object> conversions = new ArrayList<>();
        for (CompressionType codec : CODECS) {
            for (boolean logAppendTime : new boolean[] {false, true}) {
                MemoryRecords batch = build(RecordBatch.MAGIC_VALUE_V2, codec, 40, logAppendTime, few());
                for (byte magic : new byte[] {0, 1}) {
                    for (long firstOffset : new long[] {40, 42}) {
                        Map<String, Object> object = new LinkedHashMap<>();
                        object.put("name", codec.name + (logAppendTime ? ", log append time" : "") + " to format " + magic
                            + " from offset " + firstOffset);
                        object.put("magic", magic);
                        object.put("codec", codec.id);
                        object.put("fetchOffset", firstOffset);
                        object.put("batch", Golden.plain(batch.buffer()));
                        object.put("bytes", Golden.plain(
                            batch.downConvert(magic, firstOffset, Time.SYSTEM).records().buffer()));
                        conversions.add(object);
                    }
                }
            }
        }
        return conversions;
    }

    static List<SimpleRecord> few() {
        return List.of(
            new SimpleRecord(TIME, "key".getBytes(), "value".getBytes()),
            new SimpleRecord(TIME + 5, null, "no key".getBytes()),
            new SimpleRecord(TIME - 70_000, "no value".getBytes(), null),
            new SimpleRecord(RecordBatch.NO_TIMESTAMP, new byte[0], new byte[0]),
            new SimpleRecord(TIME + 1, "long".getBytes(), "0123456789".repeat(30).getBytes()));
    }

    /** More than one block of every codec. */
    static List<SimpleRecord> many() {
        List<SimpleRecord> records = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            records.add(new SimpleRecord(TIME + i, ("key " + i).getBytes(), ("record " + i + " of the spool ").repeat(3).getBytes()));
        }
        return records;
    }

    static MemoryRecords build(byte magic, CompressionType codec, long baseOffset, boolean logAppendTime, List<SimpleRecord> records) {
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), magic, Compression.of(codec).build(),
            logAppendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME, baseOffset,
            logAppendTime ? TIME + 99 : RecordBatch.NO_TIMESTAMP, RecordBatch.NO_PRODUCER_ID,
            RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false, false, 0, 1 << 20);
        records.forEach(builder::append);
        return builder.build();
    }

    static Object describe(String name, byte magic, CompressionType codec, MemoryRecords set) {
        Map<String, Object> object = new LinkedHashMap<>();
        object.put("name", name);
        object.put("magic", magic);
        object.put("codec", codec.id);
        List<Object> records = new ArrayList<>();
        int count = 0;
        for (Record record : set.records()) if (count++ < 10) records.add(describe(record));
        object.put("recordCount", count);
        object.put("firstRecords", records);
        object.put("bytes", Golden.plain(set.buffer().duplicate()));
        if (count < 100) object.put("batch", Golden.plain(convertedUp(set, codec).buffer()));
        return object;
    }

    /** As a broker appends it at offset 7 in epoch 3, uncompressed. */
    static MemoryRecords convertedUp(MemoryRecords set, CompressionType codec) {
        LogValidator validator = new LogValidator(set, new TopicPartition("t", 0), Time.SYSTEM, codec, Compression.NONE, false,
            RecordBatch.MAGIC_VALUE_V2, TimestampType.CREATE_TIME, Long.MAX_VALUE, Long.MAX_VALUE, 3, AppendOrigin.CLIENT,
            MetadataVersion.IBP_3_9_IV0);
        return validator.validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(7), new NoMetrics(), BufferSupplier.NO_CACHING)
            .validatedRecords;
    }

    static class NoMetrics implements LogValidator.MetricsRecorder {
        @Override public void recordInvalidMagic() { }
        @Override public void recordInvalidOffset() { }
        @Override public void recordInvalidSequence() { }
        @Override public void recordInvalidChecksums() { }
        @Override public void recordNoKeyCompactedTopic() { }
    }

    static Object describe(Record record) {
        Map<String, Object> object = new LinkedHashMap<>();
        object.put("offset", record.offset());
        object.put("timestampMs", record.timestamp());
        object.put("key", record.hasKey() ? Golden.plain(record.key()) : null);
        object.put("value", record.hasValue() ? Golden.plain(record.value()) : null);
        return object;
    }
}
