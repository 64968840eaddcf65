package collector

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// certificate writes a key and a certificate for 127.0.0.1 and returns their
// folder and what a client needs to trust them.
func certificate(t *testing.T) (dir string, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir = t.TempDir()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), certPEM, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return dir, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	dir, trust := certificate(t)
	user := parse(t, fmt.Sprintf(`
receivers:
	otlp:
		protocols:
			grpc: {endpoint: "127.0.0.1:0", tls: {cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem}}
			http: {endpoint: "127.0.0.1:0", tls: {cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem}}
`, dir))
	w := start(t, user)
	body := request(t, "logs", []string{"a"}, 0)
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(credentials.NewTLS(trust)))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	transport := &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	for round := range 2 {
		_, err = export(t.Context(), conn, "logs", body, grpc.WaitForReady(true))
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.http+"/v1/logs", bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-protobuf")
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "HTTP/2.0", resp.Proto)
		require.Len(t, w.logs.names("default"), 2*(round+1))
		require.NoError(t, w.Reload(t.Context(), changed(user)), "the ports stay")
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustRequest(t, "http://"+w.http+"/v1/logs", "{}"))
	if err == nil {
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, "without TLS")
	}
	require.Len(t, w.logs.names("default"), 4)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.sock")
	user := parse(t, fmt.Sprintf(`
receivers: {otlp: {protocols: {grpc: {endpoint: %s, transport: unix}, http: {enabled: false}}}}
`, path))
	w := start(t, user)
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	body := request(t, "traces", []string{"a"}, 0)
	_, err = export(t.Context(), conn, "traces", body)
	require.NoError(t, err)
	require.NoError(t, w.Reload(t.Context(), changed(user)))
	_, err = export(t.Context(), conn, "traces", body, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a"}, w.traces.names("default"))
}
