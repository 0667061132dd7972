import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.Supplier;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command-line tools one after the other in this one process, because each process of its
 * own would cost seconds. A command is a line on standard input: the tool's class, its standard input, its
 * arguments, separated by tabs, all but the class in base64. The answer is a line on standard output: the exit
 * code, then standard output and standard error in base64.
 */
public final class ToolRunner {
    /** Thrown where the tool would end the process. */
    private static final class Exited extends RuntimeException {
        final int code;

        Exited(int code) {
            super("exit code " + code, null, false, false);
            this.code = code;
        }
    }

    /** Passes everything on to what the running tool says. */
    private static final class Current extends OutputStream {
        private final Supplier<OutputStream> target;

        Current(Supplier<OutputStream> target) {
            this.target = target;
        }

        @Override
        public void write(int octet) throws IOException {
            target.get().write(octet);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            target.get().write(bytes, offset, length);
        }
    }

    private static ByteArrayOutputStream out = new ByteArrayOutputStream();
    private static ByteArrayOutputStream err = new ByteArrayOutputStream();
    /** What the running tool ended with and had said by then; a tool may catch what ends it and go on. */
    private static String firstExit;
    /** What the running tool would have done at the end of its process: the console producer sends what is left. */
    private static final List<Runnable> shutdownHooks = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> shutdownHooks.add(hook));
        PrintStream answers = System.out;
        // Set once: Scala's tools keep the streams they find first.
        System.setOut(new PrintStream(new Current(() -> out), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new Current(() -> err), true, StandardCharsets.UTF_8));
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(run(line.split("\t", -1)));
            answers.flush();
        }
    }

    private static void exit(int code) {
        if (firstExit == null) firstExit = answer(code);
        throw new Exited(code);
    }

    private static String run(String[] command) {
        out = new ByteArrayOutputStream();
        err = new ByteArrayOutputStream();
        firstExit = null;
        System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(command[1])));
        String[] arguments = new String[command.length - 2];
        for (int i = 0; i < arguments.length; i++) arguments[i] = text(command[i + 2]);
        int code = call(command[0], arguments);
        for (Runnable hook : shutdownHooks) hook.run();
        shutdownHooks.clear();
        return firstExit == null ? answer(code) : firstExit;
    }

    private static String answer(int code) {
        System.out.flush();
        System.err.flush();
        return code + "\t" + encoded(out) + "\t" + encoded(err);
    }

    private static int call(String className, String[] arguments) {
        try {
            Class<?> tool = Class.forName(className);
            forgetCounters(tool);
            tool.getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Exited) return ((Exited) thrown.getCause()).code;
            thrown.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException impossible) {
            impossible.printStackTrace();
            return 1;
        }
    }

    /** The console consumer counts what it has read in a static field, and stops by it. */
    private static void forgetCounters(Class<?> tool) throws ReflectiveOperationException {
        for (Field field : tool.getDeclaredFields()) {
            if (!field.getName().equals("messageCount")) continue;
            field.setAccessible(true);
            field.setInt(null, 0);
        }
    }

    private static String text(String encoded) {
        return new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
    }

    private static String encoded(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
