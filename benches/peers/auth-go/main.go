// Tokens issued, checked and rotated, in Go: auth-go ADDRESS; log lines go to standard error.
//
// net/http with the usual time limits, pgx with its pool, redigo with its pool, golang-jwt.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const (
	accessTTL  = 15 * time.Minute
	refreshTTL = 7 * 24 * time.Hour
	sessionTTL = 30 * 24 * time.Hour
	audience   = "api"
	keyId      = "key-1"
)

var errInvalidGrant = errors.New("invalid_grant")

type service struct {
	pool     *pgxpool.Pool
	clients  *cache[[]byte]
	sessions *cache[session]
	key      ed25519.PrivateKey
	issuer   string
	parser   *jwt.Parser
}

// What is remembered of a live session; an ended one has no user.
type session struct {
	User   string `json:"user"`
	Client string `json:"client"`
}

type claims struct {
	jwt.RegisteredClaims
	Client  string `json:"client_id"`
	Scope   string `json:"scope"`
	Session string `json:"sid,omitempty"`
}

func main() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	check(err)
	config.MaxConns = 16
	config.MinConns = 16
	pool, err := pgxpool.ConnectConfig(ctx, config)
	check(err)
	seed, err := hex.DecodeString(os.Getenv("AUTH_KEY_SEED"))
	check(err)
	redis := redisPool(os.Getenv("REDIS_URL"))
	service := &service{
		pool:     pool,
		clients:  newCache[[]byte](redis, "client:"),
		sessions: newCache[session](redis, "session:"),
		key:      ed25519.NewKeyFromSeed(seed),
		issuer:   "http://" + os.Args[1],
		parser:   jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"})),
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/oauth2/token", service.token)
	routes.HandleFunc("/oauth2/introspect", service.introspect)
	routes.HandleFunc("/admin/clients", service.addClient)
	routes.HandleFunc("/admin/sessions", service.addSession)
	server := http.Server{
		Addr:              os.Args[1],
		Handler:           logged(routes),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func (service *service) token(writer http.ResponseWriter, request *http.Request) {
	client, ok := service.authenticated(writer, request)
	if !ok {
		return
	}
	switch request.PostFormValue("grant_type") {
	case "client_credentials":
		access, err := service.sign(client, client, "")
		if err != nil {
			failed(writer, err)
			return
		}
		answer(writer, http.StatusOK, tokens(access, ""))
	case "refresh_token":
		access, refresh, err := service.rotate(request.Context(), client, request.PostFormValue("refresh_token"))
		if errors.Is(err, errInvalidGrant) {
			refuse(writer, http.StatusBadRequest, "invalid_grant")
		} else if err != nil {
			failed(writer, err)
		} else {
			answer(writer, http.StatusOK, tokens(access, refresh))
		}
	default:
		refuse(writer, http.StatusBadRequest, "unsupported_grant_type")
	}
}

func (service *service) introspect(writer http.ResponseWriter, request *http.Request) {
	if _, ok := service.authenticated(writer, request); !ok {
		return
	}
	claims, err := service.verify(request.PostFormValue("token"))
	if err != nil {
		answer(writer, http.StatusOK, map[string]any{"active": false})
		return
	}
	if claims.Session != "" {
		session, err := service.session(request.Context(), claims.Session)
		if err != nil {
			failed(writer, err)
			return
		}
		if session.User != claims.Subject {
			answer(writer, http.StatusOK, map[string]any{"active": false})
			return
		}
	}
	answer(writer, http.StatusOK, map[string]any{
		"active": true, "token_type": "Bearer", "iss": claims.Issuer, "aud": audience, "sub": claims.Subject,
		"client_id": claims.Client, "scope": claims.Scope, "jti": claims.ID, "sid": claims.Session,
		"iat": claims.IssuedAt.Unix(), "exp": claims.ExpiresAt.Unix(),
	})
}

func (service *service) addClient(writer http.ResponseWriter, request *http.Request) {
	id, secret := uuid.NewString(), random()
	hash := sha256.Sum256([]byte(secret))
	_, err := service.pool.Exec(request.Context(), "insert into clients (id, secret_hash) values ($1, $2)", id, hash[:])
	if err != nil {
		failed(writer, err)
		return
	}
	answer(writer, http.StatusCreated, map[string]any{"client_id": id, "client_secret": secret})
}

func (service *service) addSession(writer http.ResponseWriter, request *http.Request) {
	client, ok := service.authenticated(writer, request)
	if !ok {
		return
	}
	id, user, refresh := uuid.NewString(), uuid.NewString(), random()
	hash, now := sha256.Sum256([]byte(refresh)), time.Now()
	err := service.pool.BeginFunc(request.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(request.Context(),
			"insert into sessions (id, client_id, user_id, expires_at) values ($1, $2, $3, $4)",
			id, client, user, now.Add(sessionTTL))
		if err != nil {
			return err
		}
		return insertToken(request.Context(), tx, hash[:], id, 0, nil, now)
	})
	var access string
	if err == nil {
		access, err = service.sign(user, client, id)
	}
	if err != nil {
		failed(writer, err)
		return
	}
	answer(writer, http.StatusOK, tokens(access, refresh))
}

// The row decides, in one transaction.
func (service *service) rotate(ctx context.Context, client, presented string) (access, refresh string, err error) {
	hash, now := sha256.Sum256([]byte(presented)), time.Now()
	tx, err := service.pool.Begin(ctx)
	if err != nil {
		return "", "", err
	}
	defer tx.Rollback(ctx)
	var id, user, owner, state string
	var generation int64
	var expires, ends time.Time
	var ended *time.Time
	err = tx.QueryRow(ctx,
		`select t.session_id::text, t.generation, t.state, t.expires_at,
		        s.user_id::text, s.client_id, s.expires_at, s.ended_at
		 from refresh_tokens t join sessions s on s.id = t.session_id where t.hash = $1 for update`, hash[:],
	).Scan(&id, &generation, &state, &expires, &user, &owner, &ends, &ended)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", errInvalidGrant
	} else if err != nil {
		return "", "", err
	}
	if owner != client || ended != nil || now.After(ends) || now.After(expires) {
		return "", "", errInvalidGrant
	}
	if state == "used" {
		if _, err = tx.Exec(ctx, "update sessions set ended_at = $2 where id = $1", id, now); err != nil {
			return "", "", err
		}
		if err = tx.Commit(ctx); err != nil {
			return "", "", err
		}
		service.sessions.forget(id)
		return "", "", errInvalidGrant
	}
	refresh = random()
	child := sha256.Sum256([]byte(refresh))
	if _, err = tx.Exec(ctx, "update refresh_tokens set state = 'used', used_at = $2 where hash = $1", hash[:], now); err != nil {
		return "", "", err
	}
	if _, err = tx.Exec(ctx, "update sessions set last_used_at = $2 where id = $1", id, now); err != nil {
		return "", "", err
	}
	if err = insertToken(ctx, tx, child[:], id, generation+1, hash[:], now); err != nil {
		return "", "", err
	}
	if access, err = service.sign(user, client, id); err != nil {
		return "", "", err
	}
	return access, refresh, tx.Commit(ctx)
}

func insertToken(ctx context.Context, tx pgx.Tx, hash []byte, session string, generation int64, parent []byte, now time.Time) error {
	_, err := tx.Exec(ctx,
		`insert into refresh_tokens (hash, session_id, generation, parent, state, expires_at)
		 values ($1, $2, $3, $4, 'live', $5)`, hash, session, generation, parent, now.Add(refreshTTL))
	return err
}

func (service *service) session(ctx context.Context, id string) (session, error) {
	return service.sessions.get(id, func() (found session, err error) {
		err = service.pool.QueryRow(ctx,
			"select user_id::text, client_id from sessions where id = $1 and ended_at is null and expires_at > now()", id,
		).Scan(&found.User, &found.Client)
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return found, err
	})
}

func (service *service) authenticated(writer http.ResponseWriter, request *http.Request) (string, bool) {
	request.Body = http.MaxBytesReader(writer, request.Body, 64<<10)
	if request.Method != http.MethodPost {
		refuse(writer, http.StatusMethodNotAllowed, "invalid_request")
		return "", false
	}
	id, secret, _ := request.BasicAuth()
	stored, err := service.clients.get(id, func() (hash []byte, err error) {
		err = service.pool.QueryRow(request.Context(), "select secret_hash from clients where id = $1", id).Scan(&hash)
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return hash, err
	})
	if err != nil {
		failed(writer, err)
		return "", false
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], stored) != 1 {
		writer.Header().Set("WWW-Authenticate", `Basic realm="oauth2"`)
		refuse(writer, http.StatusUnauthorized, "invalid_client")
		return "", false
	}
	return id, true
}

func (service *service) sign(subject, client, session string) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: service.issuer, Subject: subject, Audience: jwt.ClaimStrings{audience}, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(accessTTL)),
		},
		Client: client, Scope: "order:read", Session: session,
	})
	token.Header["typ"] = "at+jwt"
	token.Header["kid"] = keyId
	return token.SignedString(service.key)
}

func (service *service) verify(text string) (*claims, error) {
	var claims claims
	_, err := service.parser.ParseWithClaims(text, &claims, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != "at+jwt" || token.Header["kid"] != keyId {
			return nil, errors.New("another kind of token")
		}
		return service.key.Public(), nil
	})
	if err != nil {
		return nil, err
	}
	if claims.ExpiresAt == nil || claims.IssuedAt == nil || !claims.VerifyIssuer(service.issuer, true) || !claims.VerifyAudience(audience, true) {
		return nil, errors.New("other claims")
	}
	return &claims, nil
}

func tokens(access, refresh string) map[string]any {
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(accessTTL.Seconds())}
	if refresh != "" {
		body["refresh_token"] = refresh
	}
	return body
}

func random() string {
	var bytes [32]byte
	_, err := rand.Read(bytes[:])
	check(err)
	return base64.RawURLEncoding.EncodeToString(bytes[:])
}

func answer(writer http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		failed(writer, err)
		return
	}
	header := writer.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	writer.WriteHeader(status)
	writer.Write(text)
}

func refuse(writer http.ResponseWriter, status int, code string) {
	answer(writer, status, map[string]any{"error": code})
}

func failed(writer http.ResponseWriter, err error) {
	log.Print(err)
	refuse(writer, http.StatusInternalServerError, "server_error")
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (recorder *recorder) WriteHeader(status int) {
	recorder.status = status
	recorder.ResponseWriter.WriteHeader(status)
}

func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		begun := time.Now()
		recorder := recorder{writer, http.StatusOK}
		next.ServeHTTP(&recorder, request)
		elapsed := float64(time.Since(begun).Microseconds()) / 1000
		line := make([]byte, 0, 256)
		line = append(line, `{"timestamp":"`...)
		line = begun.UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z")
		line = append(line, `","level":"INFO","message":"request completed","method":`...)
		line = strconv.AppendQuote(line, request.Method)
		line = append(line, `,"path":`...)
		line = strconv.AppendQuote(line, request.URL.Path)
		line = append(line, `,"status":`...)
		line = strconv.AppendInt(line, int64(recorder.status), 10)
		line = append(line, `,"duration_ms":`...)
		line = strconv.AppendFloat(line, elapsed, 'f', 3, 64)
		line = append(line, "}\n"...)
		os.Stderr.Write(line)
	})
}
