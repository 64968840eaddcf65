package listen

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// echo accepts one connection and answers with one byte.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	c, err := l.Accept()
	require.NoError(t, err)
	_, err = c.Write([]byte{1})
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestConnectionWaitsForTheNextServer(t *testing.T) {
	p := NewPool()
	first, err := p.Listen(t.Context(), "otlp", "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan error, 1)
	go func() { _, err := first.Accept(); accepted <- err }()
	require.NoError(t, first.Close())
	require.ErrorIs(t, <-accepted, net.ErrClosed)
	require.ErrorIs(t, first.Close(), net.ErrClosed)

	c, err := net.Dial("tcp", first.Addr().String())
	require.NoError(t, err, "between two servers")
	second, err := p.Listen(t.Context(), "otlp", "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.Equal(t, first.Addr(), second.Addr())
	go echo(t, second)
	_, err = c.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	require.NoError(t, p.Close())
	require.NoError(t, second.Close())
	_, err = net.Dial("tcp", first.Addr().String())
	require.Error(t, err)
}

func TestAddressMovesToAnotherUser(t *testing.T) {
	p := NewPool()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := probe.Addr().String()
	require.NoError(t, probe.Close())

	first, err := p.Listen(t.Context(), "otlp", "tcp", address)
	require.NoError(t, err)
	_, err = p.Listen(t.Context(), "otlp/b", "tcp", address)
	require.ErrorContains(t, err, "address already in use", "while it is served")
	require.NoError(t, first.Close())
	second, err := p.Listen(t.Context(), "otlp/b", "tcp", address)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	require.NoError(t, p.Trim())
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
}
