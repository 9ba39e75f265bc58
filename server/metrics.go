package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what this console tells about itself and the fleet.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	work     *prometheus.CounterVec
	pending  prometheus.Gauge
	open     prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plimsoll_http_request_seconds", Help: "Time to answer, by route and status.",
			Buckets: []float64{.005, .025, .1, .3, 1, 5, 30, 60},
		}, []string{"route", "status"}),
		work: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plimsoll_jobs_total", Help: "Background work done, by kind and result.",
		}, []string{"job", "result"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plimsoll_evaluation_pending", Help: "Distinct packages that a running evaluation has yet to judge.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plimsoll_http_requests_open", Help: "Requests that are being answered: waiting agents and streams of events, too.",
		}),
	}
	m.registry.MustRegister(m.requests, m.work, m.pending, m.open, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) job(name string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.work.WithLabelValues(name, result).Inc()
}

// showMetrics answers with this console's figures and the fleet's.
func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	if err := unbounded(&requestOf(r.Context()).caller); err != nil {
		s.fail(w, r, err)
		return
	}
	figures, err := s.Store.Figures(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	fleet := prometheus.NewRegistry()
	for figure, value := range figures { // name{label="value"}
		name, label, _ := strings.Cut(figure, "{")
		labels := prometheus.Labels{}
		if key, quoted, ok := strings.Cut(strings.TrimSuffix(label, "}"), "="); ok {
			labels[key] = strings.Trim(quoted, `"`)
		}
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Of the whole fleet.", ConstLabels: labels})
		g.Set(value)
		if err := fleet.Register(g); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	gather := prometheus.Gatherers{s.metrics.registry, fleet}
	promhttp.HandlerFor(gather, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}
