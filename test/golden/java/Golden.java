import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.BaseRecords;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.record.TimestampType;

/**
 * Fills the classes that Kafka generates for its messages with sample values, as far as each version's schema carries them,
 * and writes down the bytes that those classes make of them, beside the values. Used by Generate (both of them).
 */
public class Golden {
    enum Variant {
        /** What a new object holds: empty arrays, declared defaults. */
        DEFAULTS,
        /** Two elements in every array, small distinct values, every tagged field set. */
        FILLED,
        /** The ends of the ranges, long and non-ASCII strings, empty and large bytes. */
        EXTREMES,
        /** Null wherever a version allows it, except arrays. */
        NULL_LEAVES,
        /** Null arrays wherever a version allows them. */
        NULL_ARRAYS,
        /** FILLED, with tags that no version knows in every struct. */
        UNKNOWN_TAGS;

        String label() {
            return name().toLowerCase().replace('_', '-');
        }
    }

    static final int CORRELATION_ID = 77;
    static final long MAX_SAFE = (1L << 53) - 1;

    // ---- messages ----

    static void writeApi(Path directory, short key, short first, short last) throws Exception {
        writeApi(directory, key, first, last, "");
    }

    /** {@code suffix}: of the file's name, where another release writes the versions before. */
    static void writeApi(Path directory, short key, short first, short last, String suffix) throws Exception {
        ApiMessageType type = ApiMessageType.fromApiKey(key);
        Map<String, Object> file = new LinkedHashMap<>();
        file.put("key", key);
        file.put("name", type.name);
        file.put("correlationId", CORRELATION_ID);
        for (boolean request : new boolean[] {true, false}) {
            Class<?> dataClass = (request ? type.newRequest() : type.newResponse()).getClass();
            Map<String, Object> defaults = new LinkedHashMap<>();
            collectDefaults(dataClass, "", defaults);
            List<Object> values = new ArrayList<>();
            Map<String, Integer> indexes = new LinkedHashMap<>();
            List<Object> cases = new ArrayList<>();
            List<Object> nullable = new ArrayList<>();
            for (short version = first; version <= last; version++) {
                Schema schema = (Schema) dataClass.getField("SCHEMA_" + version).get(null);
                List<String> paths = new ArrayList<>();
                collectNullable(dataClass, schema, "", paths);
                nullable.add(List.of(version, paths.stream().sorted().collect(Collectors.toList())));
                for (Variant variant : Variant.values()) {
                    ApiMessage message = request ? type.newRequest() : type.newResponse();
                    Filler filler = new Filler(variant);
                    filler.fill(message, schema);
                    if (variant == Variant.UNKNOWN_TAGS && filler.unknownTags == 0) continue;
                    if (variant == Variant.NULL_LEAVES && filler.nullLeaves == 0) continue;
                    if (variant == Variant.NULL_ARRAYS && filler.nullArrays == 0) continue;
                    byte[] bytes = request
                        ? requestBytes(type, version, variant, message)
                        : responseBytes(type, version, message);
                    Object value = dump(message, schema);
                    Integer index = indexes.get(toJson(value));
                    if (index == null) {
                        index = values.size();
                        values.add(value);
                        indexes.put(toJson(value), index);
                    }
                    cases.add(List.of(version, variant.label(), index, Base64.getEncoder().encodeToString(bytes)));
                }
            }
            Map<String, Object> side = new LinkedHashMap<>();
            side.put("defaults", defaults);
            side.put("nullable", nullable);
            side.put("values", values);
            side.put("cases", cases);
            file.put(request ? "request" : "response", side);
        }
        String kebab = type.name.replaceAll("(?<=[a-z])(?=[A-Z])", "-").toLowerCase();
        writeJson(directory.resolve(String.format("%02d-%s%s.json", key, kebab, suffix)), file);
    }

    static String clientId(Variant variant) {
        return variant == Variant.DEFAULTS ? null : "golden-" + variant.label();
    }

    static byte[] requestBytes(ApiMessageType type, short version, Variant variant, Message body) {
        RequestHeaderData header = new RequestHeaderData()
            .setRequestApiKey(type.apiKey())
            .setRequestApiVersion(version)
            .setCorrelationId(CORRELATION_ID);
        short headerVersion = type.requestHeaderVersion(version);
        if (headerVersion >= 1) header.setClientId(clientId(variant));
        if (variant == Variant.UNKNOWN_TAGS && headerVersion >= 2) addUnknownTags(header.unknownTaggedFields());
        return concat(bytesOf(header, headerVersion), bytesOf(body, version));
    }

    static byte[] responseBytes(ApiMessageType type, short version, Message body) {
        ResponseHeaderData header = new ResponseHeaderData().setCorrelationId(CORRELATION_ID);
        return concat(bytesOf(header, type.responseHeaderVersion(version)), bytesOf(body, version));
    }

    /** Also reads the bytes back: what Kafka's classes do not read themselves is no golden case. */
    static byte[] bytesOf(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException(message + ": size and bytes disagree");
        try {
            Message again = message.getClass().getDeclaredConstructor().newInstance();
            again.read(new ByteBufferAccessor(ByteBuffer.wrap(buffer.array())), version);
            if (!again.equals(message)) throw new IllegalStateException(again + " is not " + message);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        return buffer.array();
    }

    static byte[] concat(byte[] a, byte[] b) {
        byte[] both = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, both, a.length, b.length);
        return both;
    }

    static void addUnknownTags(List<RawTaggedField> tags) {
        tags.add(new RawTaggedField(10_000, "unknown".getBytes(StandardCharsets.UTF_8)));
        tags.add(new RawTaggedField(10_001, new byte[0]));
    }

    // ---- reading and setting the fields of a generated class ----

    /** The fields that a schema names, tagged ones included, each with its wire type. */
    static Map<Field, org.apache.kafka.common.protocol.types.Type> fieldsOf(Class<?> dataClass, Schema schema) {
        Map<Field, org.apache.kafka.common.protocol.types.Type> fields = new LinkedHashMap<>();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields) {
                for (var tagged : taggedFields((TaggedFields) bound.def.type)) {
                    fields.put(javaField(dataClass, tagged.name), tagged.type);
                }
            } else {
                fields.put(javaField(dataClass, bound.def.name), bound.def.type);
            }
        }
        return fields;
    }

    @SuppressWarnings("unchecked")
    static Collection<org.apache.kafka.common.protocol.types.Field> taggedFields(TaggedFields type) {
        try {
            Field fields = TaggedFields.class.getDeclaredField("fields");
            fields.setAccessible(true);
            return ((Map<Integer, org.apache.kafka.common.protocol.types.Field>) fields.get(type)).values();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    static Field javaField(Class<?> dataClass, String snakeName) {
        for (Field field : dataClass.getDeclaredFields()) {
            if (field.getName().equalsIgnoreCase(snakeName.replace("_", ""))) {
                field.setAccessible(true);
                return field;
            }
        }
        throw new IllegalStateException(dataClass + " has no " + snakeName);
    }

    static org.apache.kafka.common.protocol.types.Type elementType(org.apache.kafka.common.protocol.types.Type type) {
        return type.arrayElementType().orElse(null);
    }

    /** List of T, or one of the hash collections that extend a generic class of T. */
    static Class<?> elementClass(Type type) {
        Type generic = type instanceof Class ? ((Class<?>) type).getGenericSuperclass() : type;
        Type element = ((ParameterizedType) generic).getActualTypeArguments()[0];
        return element instanceof Class ? (Class<?>) element : byte[].class;
    }

    /** What a field holds in a new object, for every struct by its path: "", "topics", "topics.partitions". */
    static void collectDefaults(Class<?> dataClass, String path, Map<String, Object> defaults) throws Exception {
        Object fresh = dataClass.getDeclaredConstructor().newInstance();
        Map<String, Object> own = new TreeMap<>();
        defaults.put(path, own);
        for (Field field : dataClass.getDeclaredFields()) {
            String name = field.getName();
            if (Modifier.isStatic(field.getModifiers()) || name.startsWith("_")) continue;
            if (name.equals("next") || name.equals("prev")) continue;
            field.setAccessible(true);
            String nested = path.isEmpty() ? name : path + "." + name;
            if (Collection.class.isAssignableFrom(field.getType())) {
                Class<?> element = elementClass(field.getGenericType());
                if (Message.class.isAssignableFrom(element)) collectDefaults(element, nested, defaults);
                own.put(name, field.get(fresh) == null ? null : List.of());
            } else if (Message.class.isAssignableFrom(field.getType())) {
                collectDefaults(field.getType(), nested, defaults);
                own.put(name, field.get(fresh) == null ? null : defaults.get(nested));
            } else {
                own.put(name, plain(field.get(fresh)));
            }
        }
    }

    /** Paths of the fields that may be null at the version of the schema. */
    static void collectNullable(Class<?> dataClass, Schema schema, String path, List<String> paths) {
        for (var entry : fieldsOf(dataClass, schema).entrySet()) {
            Field field = entry.getKey();
            String nested = path.isEmpty() ? field.getName() : path + "." + field.getName();
            if (entry.getValue().isNullable()) paths.add(nested);
            var element = elementType(entry.getValue());
            if (element instanceof Schema) {
                collectNullable(elementClass(field.getGenericType()), (Schema) element, nested, paths);
            } else if (entry.getValue() instanceof Schema) {
                collectNullable(field.getType(), (Schema) entry.getValue(), nested, paths);
            }
        }
    }

    static Object dump(Object data, Schema schema) throws Exception {
        Map<String, Object> object = new LinkedHashMap<>();
        for (var entry : fieldsOf(data.getClass(), schema).entrySet()) {
            Object value = entry.getKey().get(data);
            object.put(entry.getKey().getName(), dumpValue(value, entry.getValue()));
        }
        return object;
    }

    static Object dumpValue(Object value, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        if (value == null) return null;
        if (value instanceof Collection) {
            List<Object> list = new ArrayList<>();
            for (Object element : (Collection<?>) value) list.add(dumpValue(element, elementType(type)));
            return list;
        }
        return type instanceof Schema ? dump(value, (Schema) type) : plain(value);
    }

    static Object plain(Object value) {
        if (value instanceof byte[]) return Base64.getEncoder().encodeToString((byte[]) value);
        if (value instanceof ByteBuffer) return plain(MessageUtil.byteBufferToArray(((ByteBuffer) value).duplicate()));
        if (value instanceof MemoryRecords) return plain(((MemoryRecords) value).buffer());
        if (value instanceof Uuid) return value.toString();
        return value;
    }

    static class Filler {
        final Variant variant;
        int counter = 0;
        int unknownTags = 0;
        int nullLeaves = 0;
        int nullArrays = 0;

        Filler(Variant variant) {
            this.variant = variant;
        }

        void fill(Object data, Schema schema) throws Exception {
            if (variant == Variant.DEFAULTS) return;
            for (var entry : fieldsOf(data.getClass(), schema).entrySet()) {
                Field field = entry.getKey();
                field.set(data, value(entry.getValue(), field.getGenericType(), field.getType()));
            }
            boolean flexible = Arrays.stream(schema.fields()).anyMatch(bound -> bound.def.type instanceof TaggedFields);
            if (variant == Variant.UNKNOWN_TAGS && flexible) {
                addUnknownTags(((Message) data).unknownTaggedFields());
                unknownTags++;
            }
        }

        @SuppressWarnings("unchecked")
        Object value(org.apache.kafka.common.protocol.types.Type type, Type generic, Class<?> javaType) throws Exception {
            org.apache.kafka.common.protocol.types.Type element = elementType(type);
            if (element != null) {
                if (variant == Variant.NULL_ARRAYS && type.isNullable()) {
                    nullArrays++;
                    return null;
                }
                Collection<Object> collection = Collection.class == javaType || List.class == javaType
                    ? new ArrayList<>()
                    : (Collection<Object>) javaType.getDeclaredConstructor().newInstance();
                boolean one = variant == Variant.NULL_ARRAYS || variant == Variant.NULL_LEAVES;
                for (int i = 0; i < (one ? 1 : 2); i++) {
                    Class<?> elementClass = elementClass(generic);
                    collection.add(value(element, elementClass, elementClass));
                }
                return collection;
            }
            if (variant == Variant.NULL_LEAVES && type.isNullable()) {
                nullLeaves++;
                return null;
            }
            if (type instanceof Schema) {
                Object struct = javaType.getDeclaredConstructor().newInstance();
                fill(struct, (Schema) type);
                return struct;
            }
            return variant == Variant.EXTREMES ? extreme(type.toString(), javaType) : small(type.toString(), javaType);
        }

        Object small(String type, Class<?> javaType) {
            int n = ++counter;
            if (javaType == boolean.class) return true;
            if (javaType == byte.class || javaType == Byte.class) return (byte) (n % 100 + 1);
            if (javaType == short.class || javaType == Short.class) return (short) (n + 1);
            if (javaType == int.class || javaType == Integer.class) return n + 1;
            if (javaType == long.class || javaType == Long.class) return n * 10_000_000_000L;
            if (javaType == double.class) return n + 0.5;
            if (javaType == String.class) return "s" + n;
            if (javaType == Uuid.class) return new Uuid(n * 0x0123456789abL, n);
            if (BaseRecords.class.isAssignableFrom(javaType)) return Batches.small(n);
            return asBytes(("bytes " + n).getBytes(StandardCharsets.UTF_8), javaType);
        }

        Object extreme(String type, Class<?> javaType) {
            boolean low = ++counter % 2 == 0;
            if (javaType == boolean.class) return low;
            if (javaType == byte.class || javaType == Byte.class) return low ? Byte.MIN_VALUE : Byte.MAX_VALUE;
            if (javaType == short.class || javaType == Short.class) return low ? Short.MIN_VALUE : Short.MAX_VALUE;
            if (javaType == int.class || javaType == Integer.class) {
                if (type.equals("UINT16")) return low ? 0 : 65535;
                return low ? Integer.MIN_VALUE : Integer.MAX_VALUE;
            }
            if (javaType == long.class || javaType == Long.class) {
                if (type.equals("UINT32")) return low ? 0L : 4294967295L;
                return low ? -MAX_SAFE : MAX_SAFE;
            }
            if (javaType == double.class) return low ? -1.5e300 : 1e-300;
            if (javaType == String.class) return low ? "x".repeat(130) : "žluťoučký kůň 🐎 " + counter;
            if (javaType == Uuid.class) return low ? new Uuid(-1, -1) : new Uuid(Long.MIN_VALUE, 1);
            if (BaseRecords.class.isAssignableFrom(javaType)) return low ? MemoryRecords.EMPTY : Batches.small(counter);
            byte[] bytes = new byte[low ? 0 : 200];
            for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (i + 100);
            return asBytes(bytes, javaType);
        }

        Object asBytes(byte[] bytes, Class<?> javaType) {
            if (javaType == byte[].class) return bytes;
            if (javaType == ByteBuffer.class) return ByteBuffer.wrap(bytes);
            throw new IllegalStateException("no sample value for " + javaType);
        }
    }

    // ---- record batches ----

    static class Batches {
        static final long TIME = 1_700_000_000_000L;

        static MemoryRecords small(int n) {
            SimpleRecord record = new SimpleRecord(TIME + n, ("k" + n).getBytes(), ("v" + n).getBytes());
            return MemoryRecords.withRecords(Compression.NONE, record);
        }

        static List<Object> all() {
            List<Object> batches = new ArrayList<>();
            Compression[] codecs = {
                Compression.NONE, Compression.gzip().build(), Compression.snappy().build(),
                Compression.lz4().build(), Compression.zstd().build(),
            };
            for (Compression codec : codecs) {
                String name = codec.type().name;
                batches.add(describe(name + ", few records", builder(codec, false, false), few()));
                batches.add(describe(name + ", one record of null and null", builder(codec, false, false),
                    List.of(new SimpleRecord(TIME, (byte[]) null, null))));
                batches.add(describe(name + ", 3000 records over several blocks", builder(codec, false, false), many()));
                batches.add(describe(name + ", idempotent", builder(codec, true, false), few()));
                batches.add(describe(name + ", transactional", builder(codec, true, true), few()));
                batches.add(describe(name + ", log append time", logAppendTime(codec), few()));
            }
            for (ControlRecordType type : List.of(ControlRecordType.ABORT, ControlRecordType.COMMIT)) {
                MemoryRecords marker = MemoryRecords.withEndTransactionMarker(41, TIME, 3, 4711, (short) 5,
                    new EndTransactionMarker(type, 9));
                batches.add(describe("control: " + type, marker));
            }
            return batches;
        }

        static List<SimpleRecord> few() {
            Header[] headers = {
                new RecordHeader("plain", "value".getBytes()), new RecordHeader("žluťoučký", new byte[0]),
                new RecordHeader("", (byte[]) null),
            };
            return List.of(
                new SimpleRecord(TIME, "key".getBytes(), "value".getBytes()),
                new SimpleRecord(TIME + 5, null, "no key".getBytes(), headers),
                new SimpleRecord(TIME - 70_000, "no value".getBytes(), null),
                new SimpleRecord(TIME + 4_000_000_000L, new byte[0], new byte[0], new Header[] {headers[1]}),
                new SimpleRecord(TIME + 1, "long".getBytes(), "0123456789".repeat(30).getBytes()));
        }

        /** About 200 KB, so that every codec writes more than one block. Record i is made of i alone. */
        static List<SimpleRecord> many() {
            List<SimpleRecord> records = new ArrayList<>();
            for (int i = 0; i < 3000; i++) {
                String value = ("record " + i + " of the spool ").repeat(1 + i % 5);
                records.add(new SimpleRecord(TIME + i, ("key " + i).getBytes(), value.getBytes()));
            }
            return records;
        }

        static MemoryRecordsBuilder builder(Compression codec, boolean idempotent, boolean transactional) {
            return new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), RecordBatch.MAGIC_VALUE_V2, codec,
                TimestampType.CREATE_TIME, 5_000_000_000L, RecordBatch.NO_TIMESTAMP,
                idempotent ? 1234567890123L : RecordBatch.NO_PRODUCER_ID,
                idempotent ? (short) 32767 : RecordBatch.NO_PRODUCER_EPOCH,
                idempotent ? Integer.MAX_VALUE - 1 : RecordBatch.NO_SEQUENCE,
                transactional, false, 12, 1 << 20);
        }

        static MemoryRecordsBuilder logAppendTime(Compression codec) {
            return new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), RecordBatch.MAGIC_VALUE_V2, codec,
                TimestampType.LOG_APPEND_TIME, 7L, TIME + 99, RecordBatch.NO_PRODUCER_ID,
                RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, false, false, 0, 1 << 20);
        }

        static Object describe(String name, MemoryRecordsBuilder builder, List<SimpleRecord> records) {
            records.forEach(builder::append);
            return describe(name, builder.build());
        }

        /** Header and records as Kafka reads them. Of the 3000, whose content the name tells, only the count. */
        static Object describe(String name, MemoryRecords records) {
            MutableRecordBatch batch = records.batches().iterator().next();
            batch.ensureValid();
            Map<String, Object> object = new LinkedHashMap<>();
            object.put("name", name);
            object.put("sizeBytes", batch.sizeInBytes());
            object.put("baseOffset", batch.baseOffset());
            object.put("lastOffset", batch.lastOffset());
            object.put("partitionLeaderEpoch", batch.partitionLeaderEpoch());
            object.put("crc", batch.checksum());
            object.put("codec", batch.compressionType().id);
            object.put("timestampType", batch.timestampType().id);
            object.put("transactional", batch.isTransactional());
            object.put("control", batch.isControlBatch());
            object.put("maxTimestamp", batch.maxTimestamp());
            object.put("producerId", batch.producerId());
            object.put("producerEpoch", batch.producerEpoch());
            object.put("baseSequence", batch.baseSequence());
            object.put("lastSequence", batch.lastSequence());
            object.put("recordCount", batch.countOrNull());
            List<Object> list = new ArrayList<>();
            if (batch.countOrNull() < 100) for (Record record : batch) list.add(describe(record));
            object.put("records", list);
            object.put("bytes", plain(records.buffer()));
            return object;
        }

        static Object describe(Record record) {
            Map<String, Object> object = new LinkedHashMap<>();
            object.put("offset", record.offset());
            object.put("timestampMs", record.timestamp());
            object.put("key", record.hasKey() ? plain(record.key()) : null);
            object.put("value", record.hasValue() ? plain(record.value()) : null);
            List<Object> headers = new ArrayList<>();
            for (Header header : record.headers()) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("key", header.key());
                one.put("value", plain(header.value()));
                headers.add(one);
            }
            object.put("headers", headers);
            return object;
        }
    }

    // ---- records of __consumer_offsets and __transaction_state ----

    static class CoordinatorRecords {
        static void add(List<Object> records, String part, Message template, short version) throws Exception {
            add(records, part, template, version, version);
        }

        /** Since 4.0 a key carries the number of its kind where it had its version before. */
        static void addKey(List<Object> records, int kind, Message template) throws Exception {
            add(records, "key", template, (short) 0, (short) kind);
        }

        static void add(List<Object> records, String part, Message template, short version, short prefix) throws Exception {
            Schema schema = (Schema) template.getClass().getField("SCHEMA_" + version).get(null);
            for (Variant variant : Variant.values()) {
                Message message = template.getClass().getDeclaredConstructor().newInstance();
                Filler filler = new Filler(variant);
                filler.fill(message, schema);
                if (variant == Variant.UNKNOWN_TAGS && filler.unknownTags == 0) continue;
                if (variant == Variant.NULL_LEAVES && filler.nullLeaves == 0) continue;
                if (variant == Variant.NULL_ARRAYS && filler.nullArrays == 0) continue;
                Map<String, Object> object = new LinkedHashMap<>();
                object.put("type", template.getClass().getSimpleName());
                object.put("part", part);
                object.put("version", prefix);
                object.put("variant", variant.label());
                object.put("value", dump(message, schema));
                byte[] bytes = bytesOf(message, version);
                object.put("bytes", plain(concat(new byte[] {(byte) (prefix >> 8), (byte) prefix}, bytes)));
                records.add(object);
            }
        }
    }

    // ---- JSON: one line for each element of an array that is not deeper than two levels ----

    static void writeJson(Path path, Object value) throws Exception {
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(path))) {
            out.print(toJson(value, 3, ""));
            out.print("\n");
        }
    }

    static String toJson(Object value) {
        return toJson(value, 0, "");
    }

    static String toJson(Object value, int levels, String indent) {
        if (value == null) return "null";
        if (value instanceof String) return quote((String) value);
        boolean lines = levels > 0;
        String inner = lines ? indent + " " : "";
        String open = lines ? "\n" + inner : "";
        String close = lines ? "\n" + indent : "";
        if (value instanceof Map) {
            return ((Map<?, ?>) value).entrySet().stream()
                .map(e -> open + quote((String) e.getKey()) + ":" + toJson(e.getValue(), levels - 1, inner))
                .collect(Collectors.joining(",", "{", close + "}"));
        }
        if (value instanceof List) {
            if (((List<?>) value).isEmpty()) return "[]";
            return ((List<?>) value).stream()
                .map(element -> open + toJson(element, lines ? Math.min(levels - 1, 0) : 0, inner))
                .collect(Collectors.joining(",", "[", close + "]"));
        }
        return value.toString();
    }

    static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 0x20) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
