// SPDX-License-Identifier: Apache-2.0
#include "record_writer.hpp"

#include <cmath>

#include "json_text.hpp"

namespace command {

namespace {

constexpr std::string_view missing_fields = ",\"calibrated_reward\":null,\"transformed_reward\":null,\"standard_error\":null";

/// Appends a row and more fields, and ends the line as the row does.
void append_row(std::string& out, std::string_view row, const std::string& fields) {
  const bool carriage_return = !row.empty() && row.back() == '\r';
  out.append(row.substr(0, row.size() - (carriage_return ? 1 : 0))).append(fields).append(carriage_return ? "\r\n" : "\n");
}

}  // namespace

void record_writer::write(std::string& out, const record_reader& from, ranking& references) {
  const bool first = !begun_;
  begun_ = true;
  switch (from.format()) {
    case record_format::json_lines:
      write_object(out, from, references);
      out += '\n';
      break;
    case record_format::json_array:
      out += first ? "[\n" : ",\n";
      write_object(out, from, references);
      break;
    case record_format::csv:
      if (first) {
        std::string names;
        for (const std::string_view name : calibrated_text::names) names.append(",").append(name);
        append_row(out, from.header(), names);
      }
      write_row(out, from, references);
  }
}

void record_writer::finish(std::string& out, const record_reader& from) {
  if (from.format() == record_format::json_array) out += "\n]\n";
}

void record_writer::write_object(std::string& out, const record_reader& from, ranking& references) {
  const std::string_view text = from.text();
  const std::size_t brace = text.rfind('}');
  out.append(text.data(), brace);
  if (from.is_list())
    append_lists(out, from, references);
  else
    references.rank(from, [&](double u, infalign::index_t count) {
      out += std::isnan(u) ? missing_fields : text_of(from, u, count).fields();
    });
  out.append(text.substr(brace));
}

void record_writer::write_row(std::string& out, const record_reader& from, ranking& references) {
  std::string& fields = lists_[0];
  fields.clear();
  references.rank(from, [&](double u, infalign::index_t count) {
    const calibrated_text* const text = std::isnan(u) ? nullptr : &text_of(from, u, count);
    for (std::size_t i = 0; i < calibrated_text::names.size(); ++i)
      fields.append(",").append(text == nullptr ? "" : text->number(i));
  });
  append_row(out, from.text(), fields);
}

void record_writer::append_lists(std::string& out, const record_reader& from, ranking& references) {
  for (std::string& list : lists_) list.clear();
  references.rank(from, [&](double u, infalign::index_t count) {
    const calibrated_text* const text = std::isnan(u) ? nullptr : &text_of(from, u, count);
    for (std::size_t i = 0; i < lists_.size(); ++i)
      lists_[i].append(lists_[i].empty() ? "" : ",").append(text == nullptr ? "null" : text->number(i));
  });
  for (std::size_t i = 0; i < lists_.size(); ++i)
    out.append(",\"").append(calibrated_text::names[i]).append("\":[").append(lists_[i]) += ']';
}

void record_writer::fail_infinite(const record_reader& from, double u, double value, infalign::index_t references) const {
  const double bound = 0.5 / static_cast<double>(references);
  from.fail_here("{} of the calibrated reward {} is {}, which JSON cannot hold; clamped:{}:{}:{} is finite", transform_,
                 number(u), value, number(bound), number(1 - bound), transform_);
}

}  // namespace command
