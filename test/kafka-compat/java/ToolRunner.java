import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
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

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            throw new Exited(code);
        });
        Exit.setHaltProcedure((code, message) -> {
            throw new Exited(code);
        });
        Exit.setShutdownHookAdder((name, hook) -> { });
        PrintStream answers = System.out;
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(run(line.split("\t", -1)));
            answers.flush();
        }
    }

    private static String run(String[] command) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(command[1])));
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        String[] arguments = new String[command.length - 2];
        for (int i = 0; i < arguments.length; i++) arguments[i] = text(command[i + 2]);
        int code = call(command[0], arguments);
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
