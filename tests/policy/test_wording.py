"""Words that no text may hold are found in both languages, and good sentences are left alone."""

from __future__ import annotations

import time

import pytest

from letterlock.policy.prose import MAX_LENGTH
from letterlock.policy.wording import phrases

BAD = (
    ("R33", "Der Widerruf berührt bereits durchgeführtes Training nicht."),
    ("R12", "Die fortgesetzte Nutzung gilt als Zustimmung."),
    ("R2", "Wir nutzen Ihre Daten, sofern Sie nicht widersprechen."),
    ("R2", "Wir verwenden Ihre Beiträge, es sei denn, Sie widersprechen."),
    ("R2", "We use your posts unless you object."),
    ("R33", "If you opt out, models that were already trained stay as they are."),
    ("R33", "Training completed before you opt out remains unaffected."),
    ("R33", "Data taken before you opt out stays in our models."),
    ("R33", "Turning the setting off does not affect past training."),
    ("R12", "By using the service you consent to this."),
    ("R33", "Opting out does not affect training that has already taken place."),
    ("R33", "Opting out doesn't affect training that already took place."),
    ("R33", "Your opt-out will not apply to training that has already occurred."),
    ("R33", "Training that has already taken place is not affected by opting out."),
    ("R33", "If you opt out, models that were already trained remain unaffected."),
    ("R33", "Withdrawing your consent does not affect models already trained."),
    ("R33", "An objection only applies to future training."),
    ("R33", "Your objection has no effect on past training."),
    ("R33", "Data that was already disclosed cannot be recalled from recipients."),
    (
        "R33",
        (
            "Opting out means that we won't use your data going forward, but does not affect "
            "training that has already taken place."
        ),
    ),
    (
        "R33",
        (
            "Turning it off does not change anything about models trained before, as training "
            "already took place."
        ),
    ),
    ("R33", "Ein Widerspruch wirkt sich nicht auf bereits erfolgtes Training aus."),
    ("R33", "Der Widerspruch hat keine Auswirkungen auf bereits trainierte Modelle."),
    ("R33", "Bereits trainierte Modelle bleiben davon unberührt."),
    ("R33", "Der Widerspruch gilt nur für die Zukunft."),
    ("R33", "Die Ablehnung wirkt sich nicht auf Trainings aus, die bereits stattgefunden haben."),
    ("R12", "By continuing to use the service, you accept these terms."),
    ("R12", "Your continued use of the service constitutes acceptance."),
    ("R12", "If you do nothing, you agree."),
    ("R12", "If you continue to use Northmail, you accept the new policy."),
    ("R12", "Durch die weitere Nutzung stimmen Sie zu."),
    ("R12", "Wenn Sie Northmail weiterhin nutzen, erklären Sie sich einverstanden."),
    ("R13", "If you do not agree, close your account."),
    ("R13", "If you object to any changes, you may close your account."),
    ("R13", "You can object by closing your account."),
    ("R13", "Wenn Sie nicht einverstanden sind, können Sie Ihr Konto schließen."),
    ("R14", "We may change this policy without notice."),
    ("R14", "Terms may change without prior notice."),
    ("R14", "We may do so without notifying you."),
    ("R14", "Änderungen sind ohne vorherige Ankündigung möglich."),
    ("R14", "Wir können dies ändern, ohne Sie vorher zu informieren."),
    ("R2", "This setting is switched on by default."),
    ("R2", "The setting defaults to on."),
    ("R2", "We use your posts unless you opt out."),
    ("R2", "The switch is on by default."),
    ("R2", "By default we use your data."),
    ("R2", "Your data is used unless you turn this off."),
    ("R2", "Die Einstellung ist standardmäßig aktiviert."),
    ("R2", "Wir nutzen Ihre Daten, es sei denn, Sie schalten die Einstellung aus."),
    ("R2", "Das Feld ist vorausgewählt."),
    ("R2", "You are opted in by default."),
)

GOOD = (
    "Sie gilt für Sie nach 30 Tagen, es sei denn, Sie widersprechen.",
    "Der Widerruf erfasst auch bereits trainierte Modelle und läuft nicht ab.",
    "By using the service you agree to nothing.",
    "Nothing of yours is used until you say yes.",
    (
        "Your no reaches the data we have already released, every company that received it, and "
        "the models trained on it."
    ),
    "Ein Widerspruch gilt auch für bereits trainierte Modelle und verfällt nicht.",
    (
        "The withdrawal of consent does not affect the lawfulness of processing based on consent "
        "before its withdrawal."
    ),
    "It is off by default.",
    "If you object within 30 days, the version before it stays in force for you.",
    "You can object and keep your account.",
    "You can object without closing your account.",
    "You never have to close your account to object.",
    "You can close your account at any time.",
    "If you say nothing, the answer is no.",
    "We notify you at least 30 days before.",
    "It is in force for you after 30 days unless you object to it.",
    "Once you withdraw, your messages will not reach any model.",
    "Silence is not a yes.",
    "Saying no does not change the service.",
    "Opting out reaches models that have already been trained.",
    "An opt-out is not only for the future: it reaches past training.",
    "Wenn Sie die Einstellung ausschalten, endet die Nutzung.",
    "Eine Änderung gilt erst 30 Tage nach der Mitteilung.",
    "Withdrawals never expire.",
    "Ihr Nein erreicht auch, was vorher aus Ihren Daten gemacht wurde.",
    "The objection is kept, and you are asked nothing again.",
    "Models that were already trained are retrained or destroyed within 30 days.",
    "If you do nothing, nothing changes.",
    "You may object to this version; the earlier one then stays in force for you.",
    "Your objection does not affect your account.",
    "If you object, only the earlier version applies to you.",
    "Objecting does not affect the previous version, which stays in force for you.",
)


def broken(text):
    """Return the requirements that a text breaks."""
    return [phrase.requirement for phrase in phrases(text)]


@pytest.mark.parametrize(("requirement", "text"), BAD)
def test_what_no_text_may_say_is_found(requirement, text):
    """With its requirement, and how to say it instead."""
    assert requirement in broken(text)
    assert all(phrase.message and phrase.mend for phrase in phrases(text))


@pytest.mark.parametrize("text", GOOD)
def test_what_a_text_may_say_is_not_found(text):
    """A net that catches everything would be switched off."""
    assert broken(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "OPTING OUT DOES NOT AFFECT TRAINING THAT HAS ALREADY TAKEN PLACE.",
        "Opting\u2011out doesn\u2019t affect train\u00ading that took place.",
        "Opting  out does\u200b not\taffect training that has\u00a0already taken place",
        "We care. Opting out does not affect past training; ask us why.",
        "\uff2fpting out does not affect past training.",
    ],
)
def test_signs_and_capitals_hide_nothing(text):
    """Soft hyphens, typeset dashes and marks, wide letters, blanks of any kind."""
    assert broken(text) == ["R33"]


def test_words_of_two_sentences_are_not_joined():
    """What is said in one sentence and denied in another is read sentence by sentence."""
    assert broken("You can opt out. It does not matter when. Training has already begun.") == []


def test_a_phrase_is_said_once_per_requirement():
    """However often it stands there."""
    text = "On by default. It is on by default. We may change it without notice, without notice."
    assert sorted(broken(text)) == ["R14", "R2"]


@pytest.mark.parametrize("word", ["opt out ", "not ", "already ", "without prior ", "nicht ", "a"])
def test_a_long_paragraph_is_read_quickly(word):
    """Patterns look back and forth within a sentence, which is bounded."""
    begun = time.process_time()
    broken((word * MAX_LENGTH)[:MAX_LENGTH])
    assert time.process_time() - begun < 1
