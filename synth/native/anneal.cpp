// Simulated annealing of a mapped network by replacing one gate at a time: what ../anneal.py says,
// over machine words. Plain integers and one generator, so that a seed gives one result anywhere.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

// The forms in the order of FORMS in ../gates.py: AND groups, then the four others.
constexpr int kGroups[14][4] = {{1},       {2},       {3},       {4},       {2, 1},
                                {2, 2},    {3, 1},    {2, 1, 1}, {2, 2, 1}, {3, 2},
                                {3, 1, 1}, {4, 1},    {2, 2, 2}, {2, 1, 1, 1}};
enum Form {
  kInverter = 0, kAnd2, kAnd3, kAnd4, kAndOr21, kAndOr22, kAndOr31, kAndOr211, kAndOr221,
  kAndOr32, kXor2 = 14, kXor3, kMux, kMajority, kForms
};
constexpr int kMostInputs = 6;
constexpr int kTable = 2 << kMostInputs;
constexpr int kWire = -1;

int arity(int form) {
  switch (form) {
    case kXor2: return 2;
    case kXor3: case kMux: case kMajority: return 3;
    default: {
      int sum = 0;
      for (int size : kGroups[form]) sum += size;
      return sum;
    }
  }
}

struct Random {
  uint64_t state;
  uint64_t next() {  // splitmix64
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>((next() >> 32) * static_cast<uint64_t>(n) >> 32); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
};

struct LibraryGate {
  int form, bits;
  double area;
};

struct Gates {
  std::vector<LibraryGate> all;
  int table[kForms][kTable];
  double least[kForms];
  int inverter;
};

template <int W>
struct Values {
  uint64_t w[W];
};

template <int W>
struct Literal {
  int signal, inverted;
  Values<W> value, other;
};

struct Gate {
  int kind;  // in Gates::all; below 0: not there
  int count;
  int in[kMostInputs];
};

struct Candidate {
  int kind;  // kWire: the signal in[0] itself
  int count;
  int in[kMostInputs];
};

template <int W>
bool none(const Values<W>& a, const Values<W>& b) {
  for (int i = 0; i < W; ++i)
    if (a.w[i] & b.w[i]) return false;
  return true;
}

template <int W>
bool empty(const Values<W>& a) {
  for (int i = 0; i < W; ++i)
    if (a.w[i]) return false;
  return true;
}

template <int W>
Values<W> both(const Values<W>& a, const Values<W>& b) {
  Values<W> r;
  for (int i = 0; i < W; ++i) r.w[i] = a.w[i] & b.w[i];
  return r;
}

template <int W>
class Annealer {
 public:
  Annealer(const Gates& gates, uint64_t seed) : gates_(gates), random_{seed} {}

  int inputs = 0;
  int usable = 0;  // inputs from here on are constants: no new gate reads them
  std::vector<Values<W>> values;
  std::vector<Gate> net;
  std::vector<int> outputs;
  std::vector<Values<W>> wanted;
  int sum_bits = 0;  // 0: every output has to be as wanted; else their sum with the carry
  bool carry = false;

  double run(int64_t steps, double hot, double cold) {
    update();
    double area = total();
    best_net_ = net;
    best_outputs_ = outputs;
    double best = area;
    const double small = 1e-9 * gates_.all[gates_.inverter].area;
    for (int64_t step = 1; step <= steps; ++step) {
      const double share = static_cast<double>(step) / static_cast<double>(steps);
      if (!this->step(hot * (1 - share) + cold * share)) continue;
      area = total();
      if (area < best - small) {
        best = area;
        best_net_ = net;
        best_outputs_ = outputs;
      }
    }
    net = best_net_;
    outputs = best_outputs_;
    update();
    return best;
  }

  const std::vector<int>& order() const { return order_; }

  bool right() {
    Values<W> mask = correct([this](int k) -> const Values<W>& { return values[outputs[k]]; });
    for (int i = 0; i < W; ++i)
      if (~mask.w[i]) return false;
    return true;
  }

  void evaluate(int signal) { values[signal] = evaluated(net[signal], values); }

 private:
  const Gates& gates_;
  Random random_;
  std::vector<int> order_, behind_, queue_;
  std::vector<std::vector<int>> readers_;
  std::vector<int> uses_, left_, stamp_, seen_, hidden_;
  int left_time_ = 0, time_ = 0;
  std::vector<Values<W>> changed_;
  std::vector<int> is_changed_;
  std::vector<Gate> best_net_;
  std::vector<int> best_outputs_;
  std::vector<Literal<W>> literals_;
  std::vector<Candidate> found_;
  Values<W> target_, care_;
  double budget_ = 0;

  double total() const {
    double sum = 0;
    for (int s : order_) sum += gates_.all[net[s].kind].area;
    return sum;
  }

  Values<W> evaluated(const Gate& gate, const std::vector<Values<W>>& from) const {
    const LibraryGate& kind = gates_.all[gate.kind];
    const Values<W>* in[kMostInputs];
    uint64_t flip[kMostInputs];
    for (int k = 0; k < gate.count; ++k) {
      in[k] = &from[gate.in[k]];
      flip[k] = (kind.bits >> k & 1) ? ~0ull : 0;
    }
    const uint64_t out = (kind.bits >> gate.count & 1) ? ~0ull : 0;
    Values<W> result;
    switch (kind.form) {
      case kXor2:
        for (int i = 0; i < W; ++i) result.w[i] = in[0]->w[i] ^ in[1]->w[i] ^ flip[0] ^ flip[1];
        break;
      case kXor3:
        for (int i = 0; i < W; ++i)
          result.w[i] = in[0]->w[i] ^ in[1]->w[i] ^ in[2]->w[i] ^ flip[0] ^ flip[1] ^ flip[2];
        break;
      case kMux:
        for (int i = 0; i < W; ++i) {
          const uint64_t select = in[2]->w[i] ^ flip[2];
          result.w[i] = (select & (in[0]->w[i] ^ flip[0])) | (~select & (in[1]->w[i] ^ flip[1]));
        }
        break;
      case kMajority:
        for (int i = 0; i < W; ++i) {
          const uint64_t a = in[0]->w[i] ^ flip[0], b = in[1]->w[i] ^ flip[1];
          result.w[i] = (a & b) | ((in[2]->w[i] ^ flip[2]) & (a | b));
        }
        break;
      default: {
        for (int i = 0; i < W; ++i) result.w[i] = 0;
        int k = 0;
        for (int size : kGroups[kind.form]) {
          if (!size) break;
          Values<W> term;
          for (int i = 0; i < W; ++i) term.w[i] = in[k]->w[i] ^ flip[k];
          for (int other = k + 1; other < k + size; ++other)
            for (int i = 0; i < W; ++i) term.w[i] &= in[other]->w[i] ^ flip[other];
          for (int i = 0; i < W; ++i) result.w[i] |= term.w[i];
          k += size;
        }
      }
    }
    for (int i = 0; i < W; ++i) result.w[i] ^= out;
    return result;
  }

  template <class Output>
  Values<W> correct(Output output) const {
    Values<W> right, c;
    for (int i = 0; i < W; ++i) {
      right.w[i] = ~0ull;
      c.w[i] = 0;
    }
    if (!sum_bits) {
      for (size_t k = 0; k < outputs.size(); ++k) {
        const Values<W>& value = output(static_cast<int>(k));
        for (int i = 0; i < W; ++i) right.w[i] &= ~(value.w[i] ^ wanted[k].w[i]);
      }
      return right;
    }
    if (carry) c = output(sum_bits);
    for (int k = 0; k < sum_bits; ++k) {
      const Values<W>& value = output(k);
      for (int i = 0; i < W; ++i) {
        right.w[i] &= ~(value.w[i] ^ c.w[i] ^ wanted[k].w[i]);
        c.w[i] &= value.w[i];
      }
    }
    return right;
  }

  // Drops gates that nothing needs; finds an order, readers and uses.
  void update() {
    const int n = static_cast<int>(net.size());
    seen_.assign(n, 0);
    order_.clear();
    std::vector<std::pair<int, int>> stack;
    for (int k = static_cast<int>(outputs.size()) - 1; k >= 0; --k) stack.push_back({outputs[k], 0});
    while (!stack.empty()) {
      auto [signal, next] = stack.back();
      stack.pop_back();
      if (signal < inputs) continue;
      if (next == 0) {
        if (seen_[signal]) continue;
        seen_[signal] = 1;
      }
      if (next == net[signal].count) {
        order_.push_back(signal);
        continue;
      }
      stack.push_back({signal, next + 1});
      stack.push_back({net[signal].in[next], 0});
    }
    readers_.resize(n);
    for (auto& list : readers_) list.clear();
    uses_.assign(n, 0);
    for (int s = inputs; s < n; ++s)
      if (!seen_[s]) net[s].kind = -1;
    for (int s : order_) {
      const Gate& gate = net[s];
      for (int k = 0; k < gate.count; ++k) {
        bool again = false;
        for (int j = 0; j < k; ++j) again |= gate.in[j] == gate.in[k];
        if (!again) readers_[gate.in[k]].push_back(s);
      }
    }
    for (int s = 0; s < n; ++s) uses_[s] = static_cast<int>(readers_[s].size());
    for (int s : outputs) ++uses_[s];
    left_.resize(n, 0);
    stamp_.resize(n, 0);
    hidden_.resize(n, 0);
    is_changed_.resize(n, 0);
    changed_.resize(n);
  }

  double freed(int signal, const int* kept, int count) {
    ++left_time_;
    double area = 0;
    queue_.clear();
    queue_.push_back(signal);
    while (!queue_.empty()) {
      const Gate& gate = net[queue_.back()];
      queue_.pop_back();
      area += gates_.all[gate.kind].area;
      for (int k = 0; k < gate.count; ++k) {
        const int s = gate.in[k];
        if (s < inputs) continue;
        bool skip = false;
        for (int j = 0; j < k; ++j) skip |= gate.in[j] == s;
        for (int j = 0; j < count; ++j) skip |= kept[j] == s;
        if (skip) continue;
        if (stamp_[s] != left_time_) {
          stamp_[s] = left_time_;
          left_[s] = uses_[s];
        }
        if (--left_[s] == 0) queue_.push_back(s);
      }
    }
    return area;
  }

  void find_behind(int signal) {
    ++time_;
    behind_.clear();
    hidden_[signal] = time_;
    for (int s : order_) {
      if (hidden_[s] == time_) continue;
      const Gate& gate = net[s];
      for (int k = 0; k < gate.count; ++k)
        if (hidden_[gate.in[k]] == time_) {
          hidden_[s] = time_;
          behind_.push_back(s);
          break;
        }
    }
  }

  void find_care(int signal) {
    changed_ = values;
    for (int i = 0; i < W; ++i) changed_[signal].w[i] ^= ~0ull;
    for (int s : behind_) changed_[s] = evaluated(net[s], changed_);
    care_ = correct([this](int k) -> const Values<W>& { return changed_[outputs[k]]; });
    for (int i = 0; i < W; ++i) care_.w[i] = ~care_.w[i];
  }

  void find_literals(int signal, int most) {
    literals_.clear();
    auto add = [this](int s) {
      Literal<W> literal;
      literal.signal = s;
      literal.inverted = 0;
      literal.value = values[s];
      for (int i = 0; i < W; ++i) literal.other.w[i] = ~literal.value.w[i];
      literals_.push_back(literal);
    };
    const int count = usable + static_cast<int>(order_.size());
    if (count <= most) {
      for (int s = 0; s < usable; ++s) add(s);
      for (int s : order_)
        if (hidden_[s] != time_) add(s);
    } else {
      std::vector<int> near{signal};
      std::vector<char> met(net.size(), 0);
      met[signal] = 1;
      for (size_t k = 0; k < near.size() && static_cast<int>(literals_.size()) < most; ++k) {
        const int s = near[k];
        if (hidden_[s] != time_ && (s < usable || s >= inputs)) add(s);
        auto visit = [&](int other) {
          if (!met[other]) {
            met[other] = 1;
            near.push_back(other);
          }
        };
        if (s >= inputs)
          for (int j = 0; j < net[s].count; ++j) visit(net[s].in[j]);
        for (int other : readers_[s]) visit(other);
      }
    }
    const size_t half = literals_.size();
    for (size_t k = 0; k < half; ++k) {
      Literal<W> literal = literals_[k];
      literal.inverted = 1;
      std::swap(literal.value, literal.other);
      literals_.push_back(literal);
    }
  }

  bool affords(int form) const { return gates_.least[form] <= budget_; }

  void offer(int form, const Literal<W>* const* in, int count, int inverted) {
    int bits = inverted << count;
    for (int k = 0; k < count; ++k) bits |= in[k]->inverted << k;
    const int kind = gates_.table[form][bits];
    if (kind < 0 || gates_.all[kind].area > budget_) return;
    Candidate candidate{kind, count, {}};
    for (int k = 0; k < count; ++k) candidate.in[k] = in[k]->signal;
    found_.push_back(candidate);
  }

  using List = std::vector<const Literal<W>*>;

  void thin(List& list, int most) {
    const int n = static_cast<int>(list.size());
    if (n <= most) return;
    for (int k = 0; k < most; ++k) std::swap(list[k], list[k + random_.below(n - k)]);
    list.resize(most);
  }

  List covering(const Values<W>& onset) {
    List list;
    for (const auto& literal : literals_)
      if (none(onset, literal.other)) list.push_back(&literal);
    return list;
  }

  // Calls use(in, count) for groups of two or three (and four) literals that avoid the offset.
  template <class Use>
  void groups(List list, const Values<W>& offset, int width, int largest, Use use) {
    thin(list, width);
    const int n = static_cast<int>(list.size());
    const bool deep = largest > 3 && random_.below(8) == 0;
    const Literal<W>* in[4];
    for (int a = 0; a < n; ++a) {
      in[0] = list[a];
      const Values<W> rest1 = both(offset, list[a]->value);
      for (int b = 0; b < a; ++b) {
        in[1] = list[b];
        if (none(rest1, list[b]->value)) {
          use(in, 2);
          continue;
        }
        if (largest < 3) continue;
        const Values<W> rest2 = both(rest1, list[b]->value);
        for (int c = 0; c < b; ++c) {
          in[2] = list[c];
          if (none(rest2, list[c]->value)) {
            use(in, 3);
          } else if (deep) {
            const Values<W> rest3 = both(rest2, list[c]->value);
            for (int d = 0; d < c; ++d)
              if (none(rest3, list[d]->value)) {
                in[3] = list[d];
                use(in, 4);
              }
          }
        }
      }
    }
  }

  void find_candidates() {
    found_.clear();
    const int half = static_cast<int>(literals_.size() / 2);
    for (int k = 0; k < half; ++k) {
      const Literal<W>& literal = literals_[k];
      bool same = true, opposite = true;
      for (int i = 0; i < W && (same || opposite); ++i) {
        const uint64_t difference = (literal.value.w[i] ^ target_.w[i]) & care_.w[i];
        same &= difference == 0;
        opposite &= difference == care_.w[i];
      }
      if (same) found_.push_back({kWire, 1, {literal.signal}});
      if (opposite) found_.push_back({gates_.inverter, 1, {literal.signal}});
    }
    for (int inverted = 0; inverted < 2; ++inverted) {
      Values<W> onset, offset;
      for (int i = 0; i < W; ++i) {
        const uint64_t value = inverted ? ~target_.w[i] : target_.w[i];
        onset.w[i] = care_.w[i] & value;
        offset.w[i] = care_.w[i] & ~value;
      }
      find_ands(onset, offset, inverted);
      find_and_ors(onset, offset, inverted);
    }
    if (affords(kXor2)) find_xors(half);
    if (affords(kMux)) find_muxes(half);
  }

  void find_ands(const Values<W>& onset, const Values<W>& offset, int inverted) {
    if (!affords(kAnd2)) return;
    const int largest = affords(kAnd4) ? 4 : affords(kAnd3) ? 3 : 2;
    groups(covering(onset), offset, 28, largest, [&](const Literal<W>* const* in, int count) {
      offer(kInverter + count - 1, in, count, inverted);
    });
  }

  void find_and_ors(const Values<W>& onset, const Values<W>& offset, int inverted) {
    if (!affords(kAndOr21)) return;
    List singles;
    for (const auto& literal : literals_)
      if (none(offset, literal.value) && !none(onset, literal.value)) singles.push_back(&literal);
    thin(singles, 14);
    const int largest = affords(kAndOr31) ? 3 : 2;
    for (const auto* single : singles) {
      const Values<W> rest = both(onset, single->other);
      if (empty(rest)) continue;
      groups(covering(rest), offset, 14, largest, [&](const Literal<W>* const* in, int count) {
        const Literal<W>* all[4] = {in[0], in[1], nullptr, nullptr};
        if (count == 3) all[2] = in[2];
        all[count] = single;
        offer(count == 2 ? kAndOr21 : kAndOr31, all, count + 1, inverted);
      });
    }
    if (affords(kAndOr211) && singles.size() > 1) {
      for (int k = 0; k < 8; ++k) {
        const auto* a = singles[random_.below(static_cast<int>(singles.size()))];
        const auto* b = singles[random_.below(static_cast<int>(singles.size()))];
        if (a == b) continue;
        const Values<W> rest = both(both(onset, a->other), b->other);
        if (empty(rest)) continue;
        groups(covering(rest), offset, 12, 2, [&](const Literal<W>* const* in, int) {
          const Literal<W>* all[4] = {in[0], in[1], a, b};
          offer(kAndOr211, all, 4, inverted);
        });
      }
    }
    if (affords(kAndOr22)) find_pairs(onset, offset, inverted, singles);
  }

  void find_pairs(const Values<W>& onset, const Values<W>& offset, int inverted,
                  const List& singles) {
    const int n = static_cast<int>(literals_.size());
    for (int tries = 0; tries < 8 && n; ++tries) {
      const Literal<W>& first = literals_[random_.below(n)];
      if (none(onset, first.value)) continue;
      const Values<W> avoided = both(offset, first.value), covered = both(onset, first.value);
      List seconds;
      for (const auto& literal : literals_)
        if (literal.signal != first.signal && none(avoided, literal.value) &&
            !none(covered, literal.value))
          seconds.push_back(&literal);
      if (seconds.empty()) continue;
      const auto* second = seconds[random_.below(static_cast<int>(seconds.size()))];
      Values<W> rest;
      for (int i = 0; i < W; ++i)
        rest.w[i] = onset.w[i] & ~(first.value.w[i] & second->value.w[i]);
      if (empty(rest)) continue;
      const int largest = affords(kAndOr32) ? 3 : 2;
      groups(covering(rest), offset, 12, largest, [&](const Literal<W>* const* in, int count) {
        if (count == 2) {
          const Literal<W>* all[4] = {&first, second, in[0], in[1]};
          offer(kAndOr22, all, 4, inverted);
        } else {
          const Literal<W>* all[5] = {in[0], in[1], in[2], &first, second};
          offer(kAndOr32, all, 5, inverted);
        }
      });
      if (affords(kAndOr221) && !singles.empty()) {
        const auto* single = singles[random_.below(static_cast<int>(singles.size()))];
        rest = both(rest, single->other);
        if (empty(rest)) continue;
        groups(covering(rest), offset, 10, 2, [&](const Literal<W>* const* in, int) {
          const Literal<W>* all[5] = {&first, second, in[0], in[1], single};
          offer(kAndOr221, all, 5, inverted);
        });
      }
    }
  }

  void find_xors(int half) {
    for (int a = 0; a < half; ++a) {
      Values<W> rest;
      for (int i = 0; i < W; ++i) rest.w[i] = literals_[a].value.w[i] ^ target_.w[i];
      for (int b = 0; b < a; ++b) {
        bool same = true, opposite = true;
        for (int i = 0; i < W && (same || opposite); ++i) {
          const uint64_t difference = (rest.w[i] ^ literals_[b].value.w[i]) & care_.w[i];
          same &= difference == 0;
          opposite &= difference == care_.w[i];
        }
        const Literal<W>* in[2] = {&literals_[a], &literals_[b]};
        if (same) offer(kXor2, in, 2, 0);
        if (opposite) offer(kXor2, in, 2, 1);
      }
    }
  }

  void find_muxes(int half) {
    for (int tries = 0; tries < 8 && half; ++tries) {
      const Literal<W>& select = literals_[random_.below(half)];
      List ones, zeros;
      for (const auto& literal : literals_) {
        bool one = true, zero = true;
        for (int i = 0; i < W && (one || zero); ++i) {
          const uint64_t difference = (literal.value.w[i] ^ target_.w[i]) & care_.w[i];
          one &= !(difference & select.value.w[i]);
          zero &= !(difference & ~select.value.w[i]);
        }
        if (one) ones.push_back(&literal);
        if (zero) zeros.push_back(&literal);
      }
      thin(ones, 6);
      thin(zeros, 6);
      for (const auto* one : ones)
        for (const auto* zero : zeros)
          for (int inverted = 0; inverted < 2; ++inverted) {
            Literal<W> a = *one, b = *zero;
            a.inverted ^= inverted;
            b.inverted ^= inverted;
            const Literal<W>* in[3] = {&a, &b, &select};
            offer(kMux, in, 3, inverted);
          }
    }
  }

  bool step(double temperature) {
    if (order_.empty()) return false;
    const int signal = order_[random_.below(static_cast<int>(order_.size()))];
    find_behind(signal);
    find_care(signal);
    if (empty(care_)) return false;
    find_literals(signal, 100);
    target_ = values[signal];
    budget_ = freed(signal, nullptr, 0) + 3 * temperature;
    find_candidates();
    const Gate& now = net[signal];
    double least = INFINITY, sum = 0;
    static thread_local std::vector<double> growths;
    growths.assign(found_.size(), INFINITY);
    for (size_t k = 0; k < found_.size(); ++k) {
      const Candidate& one = found_[k];
      if (one.kind == now.kind && std::equal(one.in, one.in + one.count, now.in)) continue;
      const double area = one.kind == kWire ? 0 : gates_.all[one.kind].area;
      const double growth = area - freed(signal, one.in, one.count);
      if (growth >= 6 * temperature) continue;
      growths[k] = growth;
      least = std::min(least, growth);
    }
    if (least == INFINITY) return false;
    for (double& growth : growths) {
      if (growth == INFINITY) continue;
      sum += std::exp((least - growth) / temperature);
    }
    double draw = random_.unit() * sum;
    int chosen = -1;
    for (size_t k = 0; k < growths.size(); ++k) {
      if (growths[k] == INFINITY) continue;
      chosen = static_cast<int>(k);
      draw -= std::exp((least - growths[k]) / temperature);
      if (draw < 0) break;
    }
    const double growth = growths[chosen];
    if (growth > 0 && random_.unit() >= std::exp(-growth / temperature)) return false;
    replace(signal, found_[chosen]);
    return true;
  }

  void replace(int signal, const Candidate& candidate) {
    if (candidate.kind == kWire) {
      const int wire = candidate.in[0];
      for (int reader : readers_[signal])
        for (int k = 0; k < net[reader].count; ++k)
          if (net[reader].in[k] == signal) net[reader].in[k] = wire;
      for (int& output : outputs)
        if (output == signal) output = wire;
    } else {
      net[signal].kind = candidate.kind;
      net[signal].count = candidate.count;
      std::copy(candidate.in, candidate.in + candidate.count, net[signal].in);
      evaluate(signal);
    }
    const std::vector<int> affected = behind_;
    update();
    for (int s : affected)
      if (net[s].kind >= 0) pending_.push_back(s);
    // The order may have changed: evaluate by it.
    ++time_;
    for (int s : pending_) hidden_[s] = time_;
    pending_.clear();
    for (int s : order_)
      if (hidden_[s] == time_) evaluate(s);
  }

  std::vector<int> pending_;
};

template <int W>
int run(const Gates& gates, int inputs, int usable, const uint64_t* input_values, int count,
        const int32_t* in_gates, int output_count, int32_t* outputs, const uint64_t* wanted,
        int wanted_count, int sum_bits, int carry, int64_t steps, uint64_t seed, double hot,
        double cold, int32_t* out_gates, double* area) {
  Annealer<W> annealer(gates, seed);
  annealer.inputs = inputs;
  annealer.usable = usable;
  annealer.values.resize(inputs + count);
  annealer.net.resize(inputs + count);
  for (int s = 0; s < inputs; ++s) {
    annealer.net[s].kind = -1;
    annealer.net[s].count = 0;
    std::copy(input_values + s * W, input_values + (s + 1) * W, annealer.values[s].w);
  }
  for (int k = 0; k < count; ++k) {
    Gate& gate = annealer.net[inputs + k];
    const int32_t* from = in_gates + k * (kMostInputs + 1);
    gate.kind = from[0];
    gate.count = arity(gates.all[gate.kind].form);
    std::copy(from + 1, from + 1 + gate.count, gate.in);
    annealer.evaluate(inputs + k);
  }
  annealer.outputs.assign(outputs, outputs + output_count);
  annealer.wanted.resize(wanted_count);
  for (int k = 0; k < wanted_count; ++k)
    std::copy(wanted + k * W, wanted + (k + 1) * W, annealer.wanted[k].w);
  annealer.sum_bits = sum_bits;
  annealer.carry = carry != 0;
  if (!annealer.right()) return -1;
  *area = annealer.run(steps, hot, cold);
  for (int s : annealer.order()) annealer.evaluate(s);
  if (!annealer.right()) return -2;
  std::vector<int> number(inputs + count, -1);
  for (int s = 0; s < inputs; ++s) number[s] = s;
  int next = 0;
  for (int s : annealer.order()) {
    const Gate& gate = annealer.net[s];
    int32_t* to = out_gates + next * (kMostInputs + 1);
    to[0] = gate.kind;
    for (int k = 0; k < gate.count; ++k) to[1 + k] = number[gate.in[k]];
    number[s] = inputs + next++;
  }
  for (int k = 0; k < output_count; ++k) outputs[k] = number[annealer.outputs[k]];
  return next;
}

}  // namespace

// Anneals a network in place of the arrays given; returns how many gates it has then, -1 where it
// is not right to begin with, -2 where it is not right in the end, and -3 for other sizes than
// 1, 2, 4 ... 64 words. A gate is seven numbers: its kind in the library, and its fan-ins, as signals
// (inputs first, then gates in order). kinds holds form and inversions; wanted and input_values
// hold `words` words a signal.
extern "C" int nibblemac_anneal(int words, int kinds, const int32_t* kind_forms,
                                const double* areas, int inverter, int inputs, int usable,
                                const uint64_t* input_values, int count, const int32_t* in_gates,
                                int output_count, int32_t* outputs, const uint64_t* wanted,
                                int wanted_count, int sum_bits, int carry, int64_t steps,
                                uint64_t seed, double hot, double cold, int32_t* out_gates,
                                double* area) {
  Gates gates;
  gates.inverter = inverter;
  for (int f = 0; f < kForms; ++f) {
    std::fill(gates.table[f], gates.table[f] + kTable, -1);
    gates.least[f] = INFINITY;
  }
  for (int k = 0; k < kinds; ++k) {
    const int form = kind_forms[3 * k], bits = kind_forms[3 * k + 1];
    gates.all.push_back({form, bits, areas[k]});
    if (!kind_forms[3 * k + 2]) continue;  // only to be found in the network given
    gates.table[form][bits] = k;
    gates.least[form] = std::min(gates.least[form], areas[k]);
  }
#define NIBBLEMAC_RUN(W)                                                                        \
  case W:                                                                                       \
    return run<W>(gates, inputs, usable, input_values, count, in_gates, output_count, outputs, \
                  wanted, wanted_count, sum_bits, carry, steps, seed, hot, cold, out_gates, area)
  switch (words) {
    NIBBLEMAC_RUN(1);
    NIBBLEMAC_RUN(2);
    NIBBLEMAC_RUN(4);
    NIBBLEMAC_RUN(8);
    NIBBLEMAC_RUN(16);
    NIBBLEMAC_RUN(32);
    NIBBLEMAC_RUN(64);
    default:
      return -3;
  }
}
