// Command interop is a TLS peer for fasths' tests, made of Go's crypto/tls.
//
//	interop client -addr 127.0.0.1:PORT [flags]   standard input to the server, its answer to standard output
//	interop server [flags]                        an echo server on a free port, until standard input ends
//
// Both describe what happened in lines of JSON on standard error.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"
)

// deadline bounds every connection, so that a test that fails does not hang.
const deadline = 60 * time.Second

var groups = map[string]tls.CurveID{
	"secp256r1":      tls.CurveP256,
	"secp384r1":      tls.CurveP384,
	"secp521r1":      tls.CurveP521,
	"x25519":         tls.X25519,
	"X25519MLKEM768": tls.X25519MLKEM768,
}

type report struct {
	Event        string `json:"event"`
	Port         int    `json:"port,omitempty"`
	Error        string `json:"error,omitempty"`
	Version      string `json:"version,omitempty"`
	Suite        string `json:"suite,omitempty"`
	Group        string `json:"group,omitempty"`
	HelloRetry   bool   `json:"hello_retry,omitempty"`
	ALPN         string `json:"alpn,omitempty"`
	ServerName   string `json:"server_name,omitempty"`
	Certificates int    `json:"certificates,omitempty"`
	Exported     string `json:"exported,omitempty"`
	Resumed      bool   `json:"resumed,omitempty"`
	Staple       string `json:"staple,omitempty"`
	Timestamps   string `json:"timestamps,omitempty"`
	Unique       string `json:"unique,omitempty"`
}

var reporting sync.Mutex

func tell(r report) {
	reporting.Lock()
	defer reporting.Unlock()
	json.NewEncoder(os.Stderr).Encode(r)
}

// field reads a field of ConnectionState that older releases of Go do not have.
func field(state tls.ConnectionState, name string) (reflect.Value, bool) {
	value := reflect.ValueOf(state).FieldByName(name)
	return value, value.IsValid()
}

func joined(values [][]byte) string {
	var digits []string
	for _, value := range values {
		digits = append(digits, hex.EncodeToString(value))
	}
	return strings.Join(digits, ",")
}

func describe(state tls.ConnectionState) report {
	r := report{
		Event:        "handshake",
		Version:      tls.VersionName(state.Version),
		Suite:        tls.CipherSuiteName(state.CipherSuite),
		ALPN:         state.NegotiatedProtocol,
		ServerName:   state.ServerName,
		Certificates: len(state.PeerCertificates),
		Resumed:      state.DidResume,
		Staple:       hex.EncodeToString(state.OCSPResponse),
		Timestamps:   joined(state.SignedCertificateTimestamps),
		Unique:       hex.EncodeToString(state.TLSUnique),
	}
	if id, ok := field(state, "CurveID"); ok { // Go 1.25
		for name, group := range groups {
			if uint64(group) == id.Uint() {
				r.Group = name
			}
		}
	}
	if retried, ok := field(state, "HelloRetryRequest"); ok { // Go 1.26
		r.HelloRetry = retried.Bool()
	}
	if exported, err := state.ExportKeyingMaterial("EXPORTER-fasths", []byte("context"), 32); err == nil {
		r.Exported = hex.EncodeToString(exported)
	}
	return r
}

// suiteID finds a suite by its name, even among those that are not secure.
func suiteID(name string) (uint16, error) {
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if suite.Name == name {
			return suite.ID, nil
		}
	}
	return 0, errors.New("unknown suite " + name)
}

func fail(event string, err error) {
	tell(report{Event: event, Error: err.Error()})
	os.Exit(1)
}

func roots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + path)
	}
	return pool, nil
}

// half carries bytes one way until the source ends, then half-closes the connection.
func half(destination io.Writer, source io.Reader) error {
	_, err := io.Copy(destination, source)
	if conn, ok := destination.(*tls.Conn); ok && err == nil {
		err = conn.CloseWrite()
	}
	return err
}

func client(addr string, config *tls.Config) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", addr, config)
	if err != nil {
		fail("handshake", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	tell(describe(conn.ConnectionState()))
	go func() {
		if err := half(conn, os.Stdin); err != nil {
			tell(report{Event: "write", Error: err.Error()})
		}
	}()
	if err := half(os.Stdout, conn); err != nil {
		fail("read", err)
	}
	tell(report{Event: "closed"})
}

// echo sends back what it reads. It always goes on reading while it writes, and answers a half-close
// only when everything has been sent.
func echo(conn *tls.Conn) error {
	pieces := make(chan []byte, 1024)
	done := make(chan error, 1)
	go func() {
		var err error
		for piece := range pieces {
			if err == nil {
				_, err = conn.Write(piece)
			}
		}
		done <- err
	}()
	var failure error
	for {
		buffer := make([]byte, 32*1024)
		n, err := conn.Read(buffer)
		if n > 0 {
			pieces <- buffer[:n]
		}
		if err != nil {
			if err != io.EOF {
				failure = err
			}
			break
		}
	}
	close(pieces)
	if err := <-done; failure == nil {
		failure = err
	}
	return failure
}

func serve(conn *tls.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	if err := conn.Handshake(); err != nil {
		tell(report{Event: "handshake", Error: err.Error()})
		return
	}
	tell(describe(conn.ConnectionState()))
	if err := echo(conn); err != nil {
		tell(report{Event: "read", Error: err.Error()})
		return
	}
	tell(report{Event: "closed"})
}

func server(config *tls.Config) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		fail("listen", err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	tell(report{Event: "listen", Port: listener.Addr().(*net.TCPAddr).Port})
	for {
		conn, err := listener.Accept()
		if err != nil {
			fail("accept", err)
		}
		go serve(conn.(*tls.Conn))
	}
}

func main() {
	if len(os.Args) < 2 || (os.Args[1] != "client" && os.Args[1] != "server") {
		fmt.Fprintln(os.Stderr, "usage: interop client|server [flags]")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	addr := flags.String("addr", "", "where the client connects to")
	name := flags.String("name", "localhost", "the server's name: sent as SNI, and verified")
	ca := flags.String("ca", "", "PEM file of trusted roots; without it nothing is verified")
	cert := flags.String("cert", "", "PEM file of the own chain")
	key := flags.String("key", "", "PEM file of the own key")
	names := flags.String("groups", "", "groups, comma-separated")
	alpn := flags.String("alpn", "", "ALPN protocols, comma-separated")
	require := flags.Bool("require", false, "the server requires a client certificate")
	ask := flags.Bool("ask", false, "the server asks for a client certificate, and does without")
	session := flags.String("session", "", "file that the client keeps its session in")
	noTickets := flags.Bool("no-tickets", false, "the server sends no session tickets")
	staple := flags.String("staple", "", "file of the server's OCSP response")
	timestamps := flags.String("timestamps", "", "the server's SCTs in hexadecimal, comma-separated")
	lowest := flags.Uint("lowest", tls.VersionTLS12, "the lowest version, as a number")
	highest := flags.Uint("highest", tls.VersionTLS13, "the highest version")
	suite := flags.String("suite", "", "the only suite of TLS 1.2")
	flags.Parse(os.Args[2:])

	config := &tls.Config{MinVersion: uint16(*lowest), MaxVersion: uint16(*highest)}
	if *suite != "" {
		id, err := suiteID(*suite)
		if err != nil {
			fail("flags", err)
		}
		config.CipherSuites = []uint16{id}
	}
	if *alpn != "" {
		config.NextProtos = strings.Split(*alpn, ",")
	}
	if *names != "" {
		for _, group := range strings.Split(*names, ",") {
			id, ok := groups[group]
			if !ok {
				fail("flags", errors.New("unknown group "+group))
			}
			config.CurvePreferences = append(config.CurvePreferences, id)
		}
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			fail("flags", err)
		}
		if *staple != "" {
			if pair.OCSPStaple, err = os.ReadFile(*staple); err != nil {
				fail("flags", err)
			}
		}
		if *timestamps != "" {
			for _, digits := range strings.Split(*timestamps, ",") {
				timestamp, err := hex.DecodeString(digits)
				if err != nil {
					fail("flags", err)
				}
				pair.SignedCertificateTimestamps = append(pair.SignedCertificateTimestamps, timestamp)
			}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if *ca != "" {
		pool, err := roots(*ca)
		if err != nil {
			fail("flags", err)
		}
		config.RootCAs, config.ClientCAs = pool, pool
	}
	if os.Args[1] == "server" {
		if *require {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		} else if *ask {
			config.ClientAuth = tls.VerifyClientCertIfGiven
		}
		config.SessionTicketsDisabled = *noTickets
		server(config)
		return
	}
	config.ServerName = *name
	config.InsecureSkipVerify = *ca == ""
	if *session != "" {
		config.ClientSessionCache = sessionFile(*session)
	}
	client(*addr, config)
}
