package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"plimsoll"
	"plimsoll/store"
)

// Lives of certificates.
const (
	caLife     = 20 * 365 * 24 * time.Hour
	serverLife = 30 * 24 * time.Hour
	agentLife  = 30 * 24 * time.Hour
	backdate   = 5 * time.Minute           // for clocks that are behind
	caBackdate = 10 * 365 * 24 * time.Hour // for a console whose clock was ahead when the fleet began
	renewAfter = 2.0 / 3                   // of a life
)

// authority is the fleet's own CA: it vouches for the console towards agents and
// for agents towards the console.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	names []string
	given *tls.Certificate // for the names that it holds
	now   func() time.Time

	mu     sync.Mutex
	server *tls.Certificate
}

// openAuthority returns the fleet's CA, made by whichever console comes first.
func openAuthority(ctx context.Context, st *store.Store, now func() time.Time) (*authority, error) {
	const op = "open the fleet's CA"
	text, err := st.Secret(ctx, "ca", func() ([]byte, error) { return newAuthority(now()) })
	if err != nil {
		return nil, err
	}
	a := &authority{now: now}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "EC PRIVATE KEY":
			a.key, err = x509.ParseECPrivateKey(block.Bytes)
		case "CERTIFICATE":
			a.cert, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%w", err)
		}
	}
	if a.key == nil || a.cert == nil {
		return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, op, "the key or the certificate is missing")
	}
	return a, nil
}

// speakFor makes the console's certificates.
func (a *authority) speakFor(c Config) error {
	if c.Certificate != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return plimsoll.Errorf(plimsoll.CodeUnreadable, "read the console's certificate", "%w", err)
		}
		a.given = &pair
	}
	a.names = []string{"localhost", "127.0.0.1", "::1"}
	for _, name := range c.Hosts {
		if ip := net.ParseIP(name); name == "" || ip != nil && ip.IsUnspecified() {
			a.names = append(a.names, ownNames()...)
		} else {
			a.names = append(a.names, name)
		}
	}
	for _, address := range []string{c.PublicURL, c.AgentURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
			a.names = append(a.names, u.Hostname())
		}
	}
	slices.Sort(a.names)
	a.names = slices.Compact(a.names)
	_, err := a.serverCertificate()
	return err
}

// ownNames is what a console that listens everywhere may be reached by.
func ownNames() (names []string) {
	if name, err := os.Hostname(); err == nil && name != "" {
		names = append(names, name)
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	return names
}

func newAuthority(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Plimsoll fleet CA"},
		NotBefore: now.Add(-caBackdate), NotAfter: now.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f // positive
	b[15] |= 1
	return new(big.Int).SetBytes(b)
}

// pin is the hash of the CA's public key, as join tokens carry it.
func (a *authority) pin() string {
	sum := sha256.Sum256(a.cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// fingerprint is how a host's certificate is known.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// serverCertificate returns the console's certificate by our CA, a new one when
// two thirds of the last one's life are over.
func (a *authority) serverCertificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.server != nil && now.Before(renewal(a.server.Leaf)) && now.After(a.server.Leaf.NotBefore) {
		return a.server, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Plimsoll console"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "make the console's certificate", "%w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.server = &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
	return a.server, nil
}

func renewal(cert *x509.Certificate) time.Time {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return cert.NotBefore.Add(time.Duration(float64(life) * renewAfter))
}

// issue makes a host's certificate for the key of a certificate request.
func (a *authority) issue(csr []byte, hostID int64) (der []byte, renew time.Time, err error) {
	const op = "issue the host's certificate"
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, renew, plimsoll.Errorf(plimsoll.CodeInvalid, op, "the request cannot be read")
	}
	public, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, renew, plimsoll.Errorf(plimsoll.CodeInvalid, op, "the key must be ECDSA P-256")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, renew, plimsoll.Errorf(plimsoll.CodeInvalid, op, "the request is not signed with its key")
	}
	now := a.now()
	template := &x509.Certificate{ // nothing of what the request says but the key
		SerialNumber: serial(), Subject: pkix.Name{CommonName: fmt.Sprintf("host %d", hostID)},
		// No day is too early: a host that joined while the console's clock was ahead
		// must not be locked out when it is set right.
		NotBefore: a.cert.NotBefore, NotAfter: now.Add(agentLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, renew, err
	}
	return der, now.Add(time.Duration(float64(agentLife) * renewAfter)), nil
}

func (a *authority) tlsConfig() *tls.Config {
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients, Time: a.now,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if a.given != nil && hello.ServerName != "" && a.given.Leaf.VerifyHostname(hello.ServerName) == nil {
				return a.given, nil
			}
			return a.serverCertificate()
		},
	}
}

// joinToken is an enrolment token's secret form.
func (a *authority) joinToken(id int64, secret string) string {
	return fmt.Sprintf("plim1.%d.%s.%s", id, secret, a.pin())
}

// parseJoinToken takes a token of this console apart.
func (a *authority) parseJoinToken(text string) (id int64, secret string, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 || parts[0] != "plim1" {
		return 0, "", errors.New("it is not of the form plim1.ID.SECRET.HASH")
	}
	if parts[3] != a.pin() {
		return 0, "", errors.New("it was made by another console")
	}
	if id, err = strconv.ParseInt(parts[1], 10, 64); err != nil || id < 1 || strconv.FormatInt(id, 10) != parts[1] {
		return 0, "", errors.New("its number is none")
	}
	return id, parts[2], nil
}
