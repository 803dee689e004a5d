//! Words that say the same of the same things, English and Portuguese: a river that `empties into` a sea `flows into`
//! it. Only what can stand for one another beside names and numbers that agree; a word may be in several groups, and
//! what is in two of them does not join these.
//!
//! A table and no thesaurus: those have senses in which `hold` is `lose`, and one word too many makes a wrong
//! citation, one too few only none.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::words::{fold, stem};

const GROUPS: &str = "
flow empty drain discharge end desaguar escoar fluir
m metre meter metro
km kilometre kilometer quilômetro quilómetro
cm centimetre centimeter centímetro
mm millimetre millimeter milímetro
kg kilogram kilogramme quilograma quilo
ft foot feet
launched lift blast lançar
score net equalise equaliser equalize goal marcar golo
built construct erect construir erguer edificar
founded establish created fundar estabelecer criar
wrote author pen escrever
compose write compor
author writer novelist autor escritor
win triumph victory winner vencer ganhar conquistar vitória vencedor
defeat beat overcome derrotar bater
die death decease morrer falecer morte
born birth birthplace nascer nascimento
marry wed casar
begin start commence começar iniciar
end finish conclude terminar acabar
locate lie situate stand localizar situar
call name dub nickname title chamar denominar apelidar
invent devise develop inventar
discover detect spot find discovery discoverer descobrir detectar descoberta
make produce manufacture fazer produzir fabricar
buy acquire purchase comprar adquirir
host stage hold sediar acolher
inaugurate open inaugurar abrir
design architect designer projetar desenhar conceber
draw paint sketch desenhar pintar
perform premiere debut play estrear estreia
feed eat diet comer alimentar
live inhabit reside dwell viver morar habitar residir
contain include comprise conter incluir
large big great grande
tall high height alto altura
long length longo comprimento
wide width largo largura
deep depth profundo profundidade
heavy weigh weight pesar peso
fast quick rapid speed rápido
old age idade
cost price custar preço
film movie filme
football soccer futebol
car automobile carro automóvel
doctor physician médico
city town cidade
nation country país
ship vessel boat navio barco
show display exhibit mostrar exibir
earn receive award receber prêmio prémio
need require precisar necessitar
help assist aid ajudar
kill murder assassinate matar assassinar
elect choose eleger escolher
leave depart partir sair
arrive reach chegar
move relocate mudar
translate translation traduzir tradução
invade invasion invadir
king monarch rei
profession occupation profissão
engineer engenheiro
population população
inhabitant habitante
currency money moeda
mountain peak mount montanha monte pico
lake lago
river rio
bridge ponte
war guerra
language tongue língua
";

/// The stems of the words that may stand for the one with this stem.
pub(crate) fn of(term: &str) -> &'static [String] {
    static SYNONYMS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
        let mut synonyms: HashMap<String, Vec<String>> = HashMap::new();
        for group in GROUPS.lines() {
            let stems: Vec<_> = group.split_whitespace().map(|word| stem(&fold(word))).collect();
            for one in &stems {
                let others = stems.iter().filter(|other| *other != one).cloned();
                synonyms.entry(one.clone()).or_default().extend(others);
            }
        }
        synonyms
    });
    SYNONYMS.get(term).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary;

    #[test]
    fn what_says_the_same_is_found_both_ways_and_no_opposite_is() {
        for (one, other) in [("flows", "empties"), ("wrote", "escreveu"), ("nasceu", "born"), ("launch", "lifted")] {
            assert!(of(&stem(one)).contains(&stem(other)), "{one} {other}");
            assert!(of(&stem(other)).contains(&stem(one)), "{other} {one}");
        }
        for word in GROUPS.split_whitespace().map(|word| stem(&fold(word))) {
            for opposite in vocabulary::opposites(&word) {
                assert!(!of(&word).contains(opposite), "{word} {opposite}");
            }
        }
        assert_eq!(of("zebra"), [""; 0]);
    }
}
