// java.net.http. Arguments: NAME URL PATH VERSION STORE, five words a cell; prints a JSON line for each.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.io.ByteArrayInputStream;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

public class Client {
    private static final int MANY = 30;
    private static final byte[] body = new byte[1 << 20];

    private interface Step {
        void run() throws Exception;
    }

    private static SSLContext anybody() throws Exception {
        TrustManager all = new X509TrustManager() {
            public void checkClientTrusted(X509Certificate[] chain, String kind) {}
            public void checkServerTrusted(X509Certificate[] chain, String kind) {}
            public X509Certificate[] getAcceptedIssuers() {
                return new X509Certificate[0];
            }
        };
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {all}, new SecureRandom());
        return context;
    }

    private static HttpRequest.Builder to(String url) {
        return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
    }

    private static void must(boolean good, String what) {
        if (!good) {
            throw new IllegalStateException(what);
        }
    }

    private static void hello(HttpClient client, String url, String version) throws Exception {
        HttpResponse<String> answer = client.send(to(url + "/hello").build(), BodyHandlers.ofString());
        must(answer.statusCode() == 200 && answer.body().equals("hello"), "status " + answer.statusCode());
        // Without TLS it asks for h2c by Upgrade, which RFC 9113 has taken back: HTTP/1.1 is the answer.
        boolean two = version.equals("2") && url.startsWith("https");
        must(answer.version() == (two ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1), "version " + answer.version());
    }

    private static void upload(HttpClient client, String url, boolean store, BodyPublisher sent) throws Exception {
        HttpResponse<byte[]> answer = client.send(to(url).method(store ? "PUT" : "POST", sent).build(), BodyHandlers.ofByteArray());
        must(answer.statusCode() / 100 == 2, "status " + answer.statusCode());
        if (store) {
            answer = client.send(to(url).build(), BodyHandlers.ofByteArray());
        }
        must(Arrays.equals(answer.body(), body), "another body came back");
    }

    private static String tell(Step step) {
        try {
            step.run();
            return "ok";
        } catch (Exception error) {
            return error.toString().replaceAll("[\"\\\\\\n]", " ");
        }
    }

    public static void main(String[] words) throws Exception {
        new Random(1).nextBytes(body);
        for (int i = 0; i + 4 < words.length; i += 5) {
            String url = words[i + 1], path = url + words[i + 2], version = words[i + 3];
            boolean store = words[i + 4].equals("1");
            HttpClient client = HttpClient.newBuilder().sslContext(anybody()).connectTimeout(Duration.ofSeconds(10))
                .version(version.equals("2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1).build();
            String get = tell(() -> hello(client, url, version));
            String big = tell(() -> upload(client, path, store, BodyPublishers.ofByteArray(body)));
            String stream = tell(() -> upload(client, path, store, BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))));
            String many = tell(() -> {
                for (int n = 0; n < MANY; n++) {
                    hello(client, url, version);
                }
            });
            System.out.printf("{\"name\": \"%s\", \"get\": \"%s\", \"big\": \"%s\", \"stream\": \"%s\", \"many\": \"%s\"}%n",
                words[i], get, big, stream, many);
        }
        System.exit(0); // its threads would linger
    }
}
