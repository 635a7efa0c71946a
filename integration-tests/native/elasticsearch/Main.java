import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * One real node. The main class of the download refuses root, and takes its arguments as a binary
 * stream. Arguments: the folder that holds modules, and the one that holds elasticsearch.yml.
 */
public final class Main {
    public static void main(String[] args) throws Exception {
        // First of all: whatever reads YAML wants to log.
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging();
        LogConfigurator.setNodeName("node-1");
        Settings base = Settings.builder().put("path.home", Path.of(args[0]).toAbsolutePath().toString()).build();
        Environment env = InternalSettingsPreparer.prepareEnvironment(
            base, Map.of(), Path.of(args[1]).toAbsolutePath(), () -> "node-1");
        LogConfigurator.configure(env, true);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            modules(env.modulesDir()), Set.of(), Map.of());
        Node node = new Node(env, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { node.prepareForClose(); node.close(); } catch (Exception e) { e.printStackTrace(); }
        }));
        node.start();
        System.out.println("node started");
        new CountDownLatch(1).await();
    }

    /** loadModulesBundles(Path) in 8.x, loadModulesBundles(Path, boolean stateless) in 9.x. */
    @SuppressWarnings("unchecked")
    private static Set<PluginBundle> modules(Path dir) throws ReflectiveOperationException {
        for (Method m : PluginsLoader.class.getMethods()) {
            if (m.getName().equals("loadModulesBundles")) {
                return (Set<PluginBundle>) (m.getParameterCount() == 1 ? m.invoke(null, dir) : m.invoke(null, dir, false));
            }
        }
        throw new NoSuchMethodException("loadModulesBundles");
    }
}
