package main

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// What another process revokes is refused here after this.
	nearTTL    = time.Second
	nearMax    = 10_000
	farSeconds = 60
)

// Two levels: this process for a second, Redis for a minute; then the store.
type cache[T any] struct {
	redis  *redis.Pool
	prefix string
	lock   sync.RWMutex
	near   map[string]entry[T]
}

type entry[T any] struct {
	value T
	until time.Time
}

func redisPool(url string) *redis.Pool {
	return &redis.Pool{
		MaxIdle: 32, MaxActive: 32, Wait: true, IdleTimeout: 4 * time.Minute,
		Dial: func() (redis.Conn, error) { return redis.DialURL(url) },
	}
}

func newCache[T any](redis *redis.Pool, prefix string) *cache[T] {
	return &cache[T]{redis: redis, prefix: prefix, near: map[string]entry[T]{}}
}

func (cache *cache[T]) get(key string, load func() (T, error)) (T, error) {
	now := time.Now()
	cache.lock.RLock()
	known, ok := cache.near[key]
	cache.lock.RUnlock()
	if ok && now.Before(known.until) {
		return known.value, nil
	}
	value, err := cache.far(key, load)
	if err == nil {
		cache.lock.Lock()
		if len(cache.near) >= nearMax {
			cache.near = map[string]entry[T]{}
		}
		cache.near[key] = entry[T]{value, now.Add(nearTTL)}
		cache.lock.Unlock()
	}
	return value, err
}

func (cache *cache[T]) far(key string, load func() (T, error)) (value T, err error) {
	connection := cache.redis.Get()
	defer connection.Close()
	text, err := redis.Bytes(connection.Do("GET", cache.prefix+key))
	if err == nil {
		err = json.Unmarshal(text, &value)
		return value, err
	}
	if !errors.Is(err, redis.ErrNil) {
		// Without Redis, the store alone.
		return load()
	}
	if value, err = load(); err != nil {
		return value, err
	}
	if text, err = json.Marshal(value); err != nil {
		return value, err
	}
	connection.Do("SET", cache.prefix+key, text, "EX", farSeconds)
	return value, nil
}

func (cache *cache[T]) forget(key string) {
	connection := cache.redis.Get()
	defer connection.Close()
	connection.Do("DEL", cache.prefix+key)
	cache.lock.Lock()
	delete(cache.near, key)
	cache.lock.Unlock()
}
